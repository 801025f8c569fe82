// Zones, lines and ignore regions as shapes: {kind, name, points: [[x, y], …]}, in shares of the
// picture's width and height, 0..1.

export const KINDS = {
  zone: { word: "Zone", least: 3, closed: true },
  line: { word: "Line", least: 2, most: 2, closed: false },
  ignore: { word: "Ignore region", least: 3, closed: true },
};

/** The shapes of the API's regions; a box of four numbers becomes its corners. */
export function shapesOf({ zones, lines, ignore }) {
  return [
    ...zones.map(({ name, points }) => ({ kind: "zone", name, points: polygon(points) })),
    ...lines.map(({ name, points }) => ({ kind: "line", name, points: pairs(points) })),
    ...ignore.map((points) => ({ kind: "ignore", name: "", points: polygon(points) })),
  ];
}

/** The API's regions of shapes. */
export function regionsOf(shapes) {
  const of = (kind) => shapes.filter((shape) => shape.kind === kind);
  const named = (kind, write) =>
    of(kind).map(({ name, points }) => ({ name: name.trim(), points: write(points) }));
  return {
    zones: named("zone", numbers),
    lines: named("line", (points) => points.flat()),
    ignore: of("ignore").map(({ points }) => numbers(points)),
  };
}

/** What to call a shape, also where it has no name. */
export function title(shape, shapes) {
  const { word } = KINDS[shape.kind];
  if (shape.name) return `${word} ${shape.name}`;
  return `${word} ${shapes.filter(({ kind }) => kind === shape.kind).indexOf(shape) + 1}`;
}

/** A name that no other zone or line has: "zone 2". */
export function freeName(kind, shapes) {
  const taken = new Set(shapes.map(({ name }) => name));
  let number = 1;
  while (taken.has(`${kind}-${number}`)) number += 1;
  return `${kind}-${number}`;
}

/** Points moved together, as far as the picture goes. */
export function moved(points, dx, dy) {
  const within = (step, values) => Math.min(Math.max(step, -Math.min(...values)), 1 - Math.max(...values));
  const x = within(dx, points.map((point) => point[0]));
  const y = within(dy, points.map((point) => point[1]));
  return points.map((point) => rounded([point[0] + x, point[1] + y]));
}

/** A point in the picture, in steps of a ten-thousandth. */
export function rounded([x, y]) {
  return [x, y].map((share) => Math.round(Math.min(Math.max(share, 0), 1) * 1e4) / 1e4);
}

export function middle([ax, ay], [bx, by]) {
  return rounded([(ax + bx) / 2, (ay + by) / 2]);
}

function pairs(flat) {
  return flat.flatMap((x, index) => (index % 2 ? [] : [[x, flat[index + 1]]]));
}

function polygon(flat) {
  if (flat.length !== 4) return pairs(flat);
  const [left, top, right, bottom] = flat;
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

/** The numbers of a polygon: four of a box, as a person would write it. */
function numbers(points) {
  const [[left, top], , [right, bottom]] = points;
  const box = [left, top, right, bottom];
  return String(polygon(box)) === String(points) ? box : points.flat();
}
