// Draws and edits shapes on a picture, with mouse, touch and keyboard.
//
// Every gesture ends in a new list of shapes; the view that owns them keeps, undoes and saves them.

import { svg } from "./dom.js";
import { percent } from "./format.js";
import { freeName, KINDS, middle, moved, rounded, title } from "./shapes.js";

const WIDE = 1000; // the drawing's own units across
const NEAR = 14; // px within which a click means a point, or the picture's edge
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing extends EventTarget {
  /**
   * Fires "gesture" before the shapes change, "change" when they have, "select", and "mode" when
   * the drawing of a shape begins, goes on or ends.
   */
  constructor() {
    super();
    this.shapes = [];
    this.selected = null; // index of a shape
    this.draft = null; // {kind, points, cursor} while a shape is drawn
    this.fixed = false;
    this.drag = null;
    this.root = svg("svg", { class: "drawing", tabindex: 0, role: "application", "aria-label": "Zones on the picture" });
    this.root.addEventListener("pointerdown", (event) => this.press(event));
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerup", () => this.release());
    this.root.addEventListener("pointercancel", () => this.release());
    this.root.addEventListener("dblclick", () => this.finish());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focusin", ({ target }) => this.focused(target));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.root);
  }

  close() {
    this.resized.disconnect();
  }

  show(shapes, selected = this.selected) {
    this.shapes = shapes;
    this.selected = selected !== null && selected < shapes.length ? selected : null;
    this.draw();
  }

  select(index) {
    if (this.selected === index) return;
    this.selected = index;
    this.draw();
    this.dispatchEvent(new Event("select"));
  }

  begin(kind) {
    this.selected = null;
    this.draft = { kind, points: [], cursor: null };
    this.draw();
    this.root.focus({ preventScroll: true });
    this.dispatchEvent(new Event("mode"));
  }

  cancel() {
    this.draft = null;
    this.draw();
    this.dispatchEvent(new Event("mode"));
  }

  get finishable() {
    return this.draft !== null && this.draft.points.length >= KINDS[this.draft.kind].least;
  }

  /** End the shape that is being drawn, if it has enough points. */
  finish() {
    if (!this.finishable) return;
    const { kind, points } = this.draft;
    this.dispatchEvent(new Event("gesture"));
    this.draft = null;
    const name = kind === "ignore" ? "" : freeName(kind, this.shapes);
    this.selected = this.shapes.length;
    this.change([...this.shapes, { kind, name, points }]);
    this.dispatchEvent(new Event("mode"));
  }

  remove(index) {
    if (this.root.contains(document.activeElement)) this.root.focus({ preventScroll: true });
    this.dispatchEvent(new Event("gesture"));
    this.selected = null;
    this.change(this.shapes.filter((_, each) => each !== index));
  }

  change(shapes) {
    this.shapes = shapes;
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  setPoints(index, points) {
    this.change(this.shapes.map((shape, each) => (each === index ? { ...shape, points } : shape)));
  }

  // Mouse and touch

  press(event) {
    if (this.fixed || event.button) return;
    const at = this.place(event);
    if (this.draft) {
      event.preventDefault();
      this.root.focus({ preventScroll: true });
      this.add(at);
      return;
    }
    const { shape, point, edge } = event.target.closest("[data-shape]")?.dataset ?? {};
    if (shape === undefined) {
      this.select(null);
      return;
    }
    const index = Number(shape);
    this.select(index);
    this.root.setPointerCapture(event.pointerId);
    this.dispatchEvent(new Event("gesture"));
    const { points } = this.shapes[index];
    if (edge !== undefined) {
      const next = Number(edge) + 1;
      this.drag = { index, point: next };
      this.setPoints(index, points.toSpliced(next, 0, middle(points[next - 1], points[next % points.length])));
    } else {
      this.drag = { index, point: point === undefined ? null : Number(point), from: at, points };
    }
  }

  move(event) {
    if (this.draft) {
      this.draft.cursor = this.place(event);
      this.draw();
    } else if (this.drag) {
      const { index, point, from, points } = this.drag;
      const [x, y] = this.place(event, point !== null);
      if (point === null) this.setPoints(index, moved(points, x - from[0], y - from[1]));
      else this.setPoints(index, this.shapes[index].points.with(point, [x, y]));
    }
  }

  release() {
    this.drag = null;
  }

  /** A point of the shape that is being drawn; the first one again ends it. */
  add(at) {
    const { kind, points } = this.draft;
    if (this.finishable && this.near(points[0], at)) {
      this.finish();
      return;
    }
    if (points.length && this.near(points.at(-1), at)) return;
    points.push(at);
    if (points.length === KINDS[kind].most) this.finish();
    else this.draw();
    this.dispatchEvent(new Event("mode"));
  }

  near([ax, ay], [bx, by]) {
    const { width, height } = this.root.getBoundingClientRect();
    return Math.hypot((ax - bx) * width, (ay - by) * height) < NEAR;
  }

  /** Where an event is in the picture; close to its edge means on it. */
  place(event, snaps = true) {
    const { left, top, width, height } = this.root.getBoundingClientRect();
    const snap = (at, length) => (!snaps ? at : at < NEAR / 2 ? 0 : at > length - NEAR / 2 ? length : at);
    return rounded([snap(event.clientX - left, width) / width, snap(event.clientY - top, height) / height]);
  }

  // Keyboard

  key(event) {
    if (this.fixed || event.ctrlKey || event.metaKey || event.altKey) return;
    const taken = this.draft ? this.drawByKey(event) : this.editByKey(event);
    if (!taken) return;
    event.preventDefault();
    event.stopPropagation();
  }

  drawByKey({ key, shiftKey }) {
    const { draft } = this;
    const step = ARROWS[key];
    if (step) draft.cursor = stepped(draft.cursor ?? [0.5, 0.5], step, shiftKey);
    else if (key === " ") this.add((draft.cursor ??= [0.5, 0.5]));
    else if (key === "Enter") this.finish();
    else if (key === "Backspace") draft.points.pop();
    else if (key === "Escape") this.cancel();
    else return false;
    if (this.draft) this.draw();
    this.dispatchEvent(new Event("mode"));
    return true;
  }

  editByKey({ key, shiftKey, target }) {
    const { shape, point } = target.dataset;
    if (key === "Escape" && this.selected !== null) {
      this.root.focus({ preventScroll: true });
      this.select(null);
      return true;
    }
    if (shape === undefined) return false;
    const index = Number(shape);
    const { points } = this.shapes[index];
    const at = point === undefined ? null : Number(point);
    const edit = this.editOf(key, shiftKey, index, points, at);
    edit?.();
    return Boolean(edit);
  }

  /** What a key does to a shape (`at` is null) or to one of its points. */
  editOf(key, fast, index, points, at) {
    const { least, most } = KINDS[this.shapes[index].kind];
    const step = ARROWS[key];
    const set = (others, next = at) => () => {
      this.dispatchEvent(new Event("gesture"));
      this.setPoints(index, others);
      this.elementOf(`${index} ${next ?? ""}`)?.focus({ preventScroll: true });
    };
    if (step && at === null) return set(moved(points, ...scaled(step, fast)));
    if (step) return set(points.with(at, stepped(points[at], step, fast)));
    if (key === "Delete" || key === "Backspace") {
      if (at === null) return () => this.remove(index);
      return points.length > least ? set(points.toSpliced(at, 1), Math.max(0, at - 1)) : () => {};
    }
    if ((key === "Insert" || key === "+") && at !== null && !most)
      return set(points.toSpliced(at + 1, 0, middle(points[at], points[(at + 1) % points.length])), at + 1);
    return null;
  }

  focused({ dataset }) {
    if (dataset.shape !== undefined) this.select(Number(dataset.shape));
  }

  // The picture of it all

  draw() {
    const { width, height } = this.root.getBoundingClientRect();
    if (!width) return;
    this.unit = WIDE / width; // of one px
    this.tall = (WIDE * height) / width;
    this.root.setAttribute("viewBox", `0 0 ${WIDE} ${this.tall}`);
    this.root.dataset.mode = this.draft ? "draw" : "edit";
    const key = keyOf(document.activeElement);
    const shapes = this.shapes.map((shape, index) => this.shape(shape, index));
    const handles = this.selected === null || this.draft ? [] : this.handles(this.selected);
    this.root.replaceChildren(...shapes, ...handles, ...(this.draft ? this.drafted() : []));
    // A redrawn element keeps the focus.
    if (key) this.elementOf(key)?.focus({ preventScroll: true });
  }

  elementOf(key) {
    return [...this.root.querySelectorAll("[data-shape]")].find((each) => keyOf(each) === key);
  }

  shape(shape, index) {
    const { closed } = KINDS[shape.kind];
    const chosen = index === this.selected;
    const name = title(shape, this.shapes);
    const figure = svg(closed ? "polygon" : "polyline", {
      class: "figure",
      points: this.path(shape.points),
      "data-shape": index,
      tabindex: this.fixed ? null : 0,
      role: "button",
      "aria-pressed": chosen,
      "aria-label": `${name}, ${shape.points.length} points`,
    });
    const group = svg("g", { class: `shape ${shape.kind}`, "data-chosen": chosen }, figure);
    if (!closed) group.append(...this.direction(shape.points));
    group.append(this.label(shape, name));
    return group;
  }

  label(shape, name) {
    const [x, y] = this.centre(shape.points);
    const above = KINDS[shape.kind].closed ? 0 : 12 * this.unit;
    return svg("text", { x, y: y - above, "font-size": 13 * this.unit }, shape.name || name);
  }

  /** An arrow across a line where it counts `in`: to the right of who looks along it. */
  direction([from, to]) {
    const [[ax, ay], [bx, by]] = [this.spot(from), this.spot(to)];
    const long = Math.hypot(bx - ax, by - ay) || 1;
    const along = [(bx - ax) / long, (by - ay) / long];
    const across = [-along[1], along[0]];
    const at = (forward, right) => {
      const [x, y] = [0, 1].map((each) => along[each] * forward + across[each] * right);
      return [(ax + bx) / 2 + x * this.unit, (ay + by) / 2 + y * this.unit];
    };
    const [x, y] = at(0, 44);
    return [
      svg("polyline", { class: "arrow", points: [at(0, 0), at(0, 30)].join(" ") }),
      svg("polyline", { class: "arrow", points: [at(-7, 22), at(0, 30), at(7, 22)].join(" ") }),
      svg("text", { x, y, "font-size": 12 * this.unit }, "in"),
    ];
  }

  handles(index) {
    if (this.fixed) return [];
    const shape = this.shapes[index];
    const { closed, most } = KINDS[shape.kind];
    const edges = most ? [] : shape.points.slice(closed ? 0 : 1);
    const name = title(shape, this.shapes);
    return [
      ...edges.map((point, edge) => {
        const next = shape.points[(edge + 1) % shape.points.length];
        return this.dot(middle(point, next), 4.5, { class: "edge", "data-shape": index, "data-edge": edge });
      }),
      ...shape.points.map(([x, y], point) =>
        this.dot([x, y], 7, {
          class: "handle",
          "data-shape": index,
          "data-point": point,
          tabindex: 0,
          role: "button",
          "aria-label": `${name}, point ${point + 1}: ${percent(x)} across, ${percent(y)} down`,
        }),
      ),
    ];
  }

  drafted() {
    const { kind, points, cursor } = this.draft;
    const { closed, least } = KINDS[kind];
    const shown = cursor ? [...points, cursor] : points;
    const whole = closed && shown.length >= least;
    const figure = svg(whole ? "polygon" : "polyline", { class: "figure", points: this.path(shown) });
    const dots = points.map((point) => this.dot(point, 5, { class: "corner" }));
    return [svg("g", { class: `shape draft ${kind}` }, figure), ...dots, ...this.crosshair(cursor)];
  }

  crosshair(cursor) {
    if (!cursor) return [];
    const [x, y] = this.spot(cursor);
    return [
      svg("line", { class: "cross", x1: 0, y1: y, x2: WIDE, y2: y }),
      svg("line", { class: "cross", x1: x, y1: 0, x2: x, y2: this.tall }),
    ];
  }

  /** A dot with a ring around it that is large enough for a finger. */
  dot(point, radius, attributes) {
    const [cx, cy] = this.spot(point);
    return svg(
      "g",
      attributes,
      svg("circle", { class: "reach", cx, cy, r: 16 * this.unit }),
      svg("circle", { class: "dot", cx, cy, r: radius * this.unit }),
    );
  }

  spot([x, y]) {
    return [x * WIDE, y * this.tall];
  }

  path(points) {
    return points.map((point) => this.spot(point).join(",")).join(" ");
  }

  centre(points) {
    const sum = points.reduce(([ax, ay], [x, y]) => [ax + x, ay + y], [0, 0]);
    return this.spot(sum.map((each) => each / points.length));
  }
}

/** A small step; with shift a large one. */
function scaled(step, fast) {
  return step.map((each) => each * (fast ? 0.05 : 0.005));
}

function stepped([x, y], step, fast) {
  const [dx, dy] = scaled(step, fast);
  return rounded([x + dx, y + dy]);
}

function keyOf(element) {
  const { shape, point } = element?.dataset ?? {};
  return shape === undefined ? null : `${shape} ${point ?? ""}`;
}
