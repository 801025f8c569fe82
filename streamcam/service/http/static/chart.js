// Draws a timeline on a canvas: recorded periods, a row for each class, and the axis.

const HOT = 8; // the lift that has the full height

export const AXIS = 20; // px

/** The height of a bar, 0..1: a mean focus lift on a logarithmic scale from chance (1) to HOT. */
export function height(lift) {
  const share = Math.log(Math.max(lift ?? 1, 1)) / Math.log(HOT);
  return 0.25 + 0.75 * Math.min(1, share);
}

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
  }

  /**
   * @param {{from, to}} view the visible period, in seconds
   * @param {{segments, known}} content what was recorded, and since when that is known
   * @param {{begin, step, frames, classes}} data what was found, in buckets
   * @param {[string]} rows the labels of the rows
   * @param {number} until the end of what could have been recorded
   */
  draw(view, content, data, rows, axis, until) {
    const width = this.canvas.parentElement.clientWidth;
    if (!width) return;
    const style = getComputedStyle(this.canvas.parentElement);
    const [row, bar] = ["--row", "--bar"].map((name) => Number.parseFloat(style.getPropertyValue(name)));
    const bottom = row * Math.max(1, rows.length);
    const pen = this.pen(width, bottom + AXIS);
    const left = (seconds) => (width * (seconds - view.from)) / (view.to - view.from);
    this.drawRecorded(pen, content, left, width, bottom, until, style);
    rows.forEach((label, index) => {
      const line = data.classes.find((each) => each.label === label);
      pen.fillStyle = style.getPropertyValue("--grid");
      pen.fillRect(0, (index + 1) * row - 1, width, 1);
      if (line) this.drawClass(pen, data, line, left, width, (index + 1) * row - 1, bar);
    });
    this.drawAxis(pen, axis.marks(view.from, view.to, width), left, width, bottom, style);
  }

  pen(width, tall) {
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(tall * scale);
    this.canvas.style.height = `${tall}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    return pen;
  }

  /** Gaps are hatched; what lies in the future, or is not known yet, is empty. */
  drawRecorded(pen, { segments, known }, left, width, bottom, until, style) {
    const [first, last] = [Math.max(left(known), 0), Math.min(left(until), width)];
    pen.fillStyle = hatching(pen, style.getPropertyValue("--hatch"));
    if (last > first) pen.fillRect(first, 0, last - first, bottom);
    for (const { begin, seconds } of segments) {
      const [from, to] = [left(begin), left(begin + seconds)];
      if (to < 0 || from > width) continue;
      // To whole pixels outwards, so that no hairline seems to be a gap.
      const start = Math.floor(from);
      const wide = Math.max(1, Math.ceil(to) - start);
      pen.fillStyle = style.getPropertyValue("--strip");
      pen.fillRect(start, 0, wide, bottom);
      pen.fillStyle = style.getPropertyValue("--recorded");
      pen.fillRect(start, bottom, wide, 3);
    }
  }

  drawClass(pen, data, { colour, counts, lifts }, left, width, floor, tall) {
    const most = counts.reduce((one, other) => Math.max(one, other ?? 0), 1);
    const apart = left(data.step) - left(0) > 6 ? 1 : 0;
    pen.fillStyle = colour;
    counts.forEach((count, index) => {
      if (!count) return;
      // Whole pixels: sharp edges, and no pattern where bars are about as wide as pixels.
      const from = Math.round(left(data.begin + index * data.step));
      const to = Math.round(left(data.begin + (index + 1) * data.step));
      if (to < 0 || from > width) return;
      const high = Math.max(3, tall * height(lifts[index]));
      pen.globalAlpha = 0.55 + (0.45 * count) / most;
      pen.fillRect(from, floor - high, Math.max(1, to - from - apart), high);
    });
    pen.globalAlpha = 1;
  }

  drawAxis(pen, marks, left, width, top, style) {
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = "bottom";
    for (const [at, text] of marks) {
      const place = left(at);
      pen.fillStyle = style.getPropertyValue("--grid");
      pen.fillRect(place, 0, 1, top);
      pen.fillStyle = style.getPropertyValue("--mark");
      pen.fillRect(place, top, 1, 6);
      const room = pen.measureText(text).width;
      if (place + room + 4 < width) pen.fillText(text, place + 4, top + AXIS);
    }
  }
}

function hatching(pen, colour) {
  const tile = new OffscreenCanvas(8, 8);
  const lines = tile.getContext("2d");
  lines.strokeStyle = colour;
  lines.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    lines.moveTo(shift - 1, 9);
    lines.lineTo(shift + 9, -1);
  }
  lines.stroke();
  return pen.createPattern(tile, "repeat");
}
