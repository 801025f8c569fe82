// The picture with its boxes, the heat over it, and masks that are drawn, moved and resized with
// mouse, touch and keyboard.

import { svg } from "./dom.js";
import { area, between, inWords, isMeant, moved, resized } from "./explain_masks.js";
import { percent } from "./format.js";

const STEP = 0.01; // of the picture's sides, a key
const TAP = 5; // px that a click may move
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CORNERS = [
  [0, 1],
  [2, 1],
  [2, 3],
  [0, 3],
];

export class Stage extends EventTarget {
  /**
   * Fires "gesture" before masks change, "change" whenever they have, "settle" at the end of a
   * gesture, and "choose" with the number of a box as its detail.
   */
  constructor(session, pictures) {
    super();
    this.session = session;
    this.pictures = pictures; // images by fill, and the picture itself as "picture"
    this.masks = [];
    this.fill = session.fills[0].name;
    this.chosen = 0;
    this.found = null; // the last answer to an attempt
    this.drag = null;
    const { width, height } = session;
    this.canvas = document.createElement("canvas");
    this.canvas.width = pictures.picture.naturalWidth;
    this.canvas.height = pictures.picture.naturalHeight;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${session.source}, ${width} by ${height} pixels`);
    this.heat = document.createElement("img");
    this.heat.className = "heat";
    this.heat.alt = "";
    this.heat.hidden = true;
    this.root = svg("svg", { class: "overlay", role: "group", "aria-label": "Boxes and masks" });
    this.root.addEventListener("pointerdown", (event) => this.press(event));
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerup", (event) => this.release(event));
    this.root.addEventListener("pointercancel", () => this.cancel());
    this.root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  /** Show other masks; `focus` is the number of one that gets the keyboard. */
  show(masks, focus = null) {
    this.masks = masks;
    this.draw();
    if (focus !== null) this.elementOf(focus)?.focus({ preventScroll: true });
  }

  setHeat(url) {
    this.heat.hidden = url === null;
    if (url !== null && this.heat.getAttribute("src") !== url) this.heat.src = url;
  }

  // Mouse and touch

  press(event) {
    if (event.button || this.drag) return;
    event.preventDefault();
    this.root.setPointerCapture(event.pointerId);
    const { mask, corner } = event.target.closest("[data-mask]")?.dataset ?? {};
    const from = this.place(event);
    this.drag = { from, start: [event.clientX, event.clientY], before: this.masks, mask, corner };
    if (mask !== undefined) this.elementOf(mask)?.focus({ preventScroll: true });
  }

  move(event) {
    if (!this.drag) return;
    const [x, y] = this.drag.start;
    if (!this.drag.moves && Math.hypot(event.clientX - x, event.clientY - y) < TAP) return;
    if (!this.drag.moves) this.dispatchEvent(new Event("gesture"));
    this.drag.moves = true;
    this.show(this.dragged(this.place(event)));
    this.dispatchEvent(new Event("change"));
  }

  /** The masks while one is drawn, moved or resized. */
  dragged(at) {
    const { from, before, mask, corner } = this.drag;
    if (mask === undefined) return [...before, between(from, at)];
    const old = before[mask];
    if (corner === undefined) return before.with(mask, moved(old, at[0] - from[0], at[1] - from[1]));
    const [x, y] = CORNERS[(Number(corner) + 2) % 4];
    return before.with(mask, between([old[x], old[y]], at));
  }

  release(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moves) {
      if (drag.mask === undefined) this.choose(this.place(event));
      return;
    }
    this.show(this.masks.filter(isMeant));
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("settle"));
  }

  cancel() {
    if (!this.drag) return;
    this.show(this.drag.before);
    this.drag = null;
    this.dispatchEvent(new Event("change"));
  }

  /** Choose the smallest box at a place. */
  choose([x, y]) {
    const at = this.session.boxes
      .map(({ box }, number) => ({ box, number }))
      .filter(({ box: [left, top, right, bottom] }) => left <= x && x <= right && top <= y && y <= bottom)
      .sort((one, other) => area(one.box) - area(other.box));
    if (at.length) this.dispatchEvent(new CustomEvent("choose", { detail: at[0].number }));
  }

  place({ clientX, clientY }) {
    const { left, top, width, height } = this.root.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  // Keyboard

  key(event) {
    const number = event.target.dataset?.mask;
    if (number === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = ARROWS[event.key];
    const removes = event.key === "Delete" || event.key === "Backspace";
    if (!step && !removes) return;
    event.preventDefault();
    this.dispatchEvent(new Event("gesture"));
    const index = Number(number);
    const [dx, dy] = (step ?? [0, 0]).map((each) => each * STEP);
    const change = event.shiftKey ? resized : moved;
    const masks = removes ? this.masks.toSpliced(index, 1) : this.masks.with(index, change(this.masks[index], dx, dy));
    this.show(masks, removes ? Math.min(index, masks.length - 1) : index);
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("settle"));
  }

  elementOf(number) {
    return this.root.querySelector(`.mask[data-mask="${number}"]`);
  }

  // The picture of it all

  draw() {
    this.paint();
    const { width, height } = this.root.getBoundingClientRect();
    if (!width) return;
    this.size = [width, height];
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const focused = document.activeElement?.dataset?.mask;
    this.root.replaceChildren(
      ...this.session.boxes.flatMap((box, number) => this.box(box, number)),
      ...(this.found?.appeared ?? []).flatMap((box) => this.appeared(box)),
      ...this.candidate(),
      ...this.masks.flatMap((mask, number) => this.mask(mask, number)),
    );
    // A redrawn element keeps the focus.
    if (focused !== undefined) this.elementOf(focused)?.focus({ preventScroll: true });
  }

  /** The picture, and in its masks what fills them. */
  paint() {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    context.drawImage(this.pictures.picture, 0, 0, width, height);
    for (const mask of this.masks) {
      const [x, y, right, bottom] = mask.map((share, edge) => share * (edge % 2 ? height : width));
      if (right - x < 1 || bottom - y < 1) continue;
      const place = [x, y, right - x, bottom - y];
      context.drawImage(this.pictures[this.fill], ...place, ...place);
    }
  }

  box({ label, score, box }, number) {
    const lost = this.found?.lost.includes(number) ?? false;
    const state = lost ? "lost" : "kept";
    const shape = this.rectangle(box, { class: "box", "data-state": state, "data-chosen": number === this.chosen, "data-box": number });
    if (number !== this.chosen && !lost) return [shape];
    const changes = number === this.chosen && this.found && this.masks.length;
    const now = changes ? `${percent(score)} → ${percent(this.found.score)}` : percent(score);
    return [shape, this.label(box, lost ? `${label} lost` : `${label} ${now}`, state)];
  }

  appeared({ label, score, box }) {
    return [this.rectangle(box, { class: "box", "data-state": "new" }), this.label(box, `new: ${label} ${percent(score)}`, "new")];
  }

  /** Where the chosen box's candidate lies now, if it has moved. */
  candidate() {
    const box = this.found?.box;
    if (!box || !this.masks.length) return [];
    return [this.rectangle(box, { class: "candidate" })];
  }

  mask(mask, number) {
    const name = `Mask ${number + 1}: ${inWords(mask)}`;
    const shape = this.rectangle(mask, { class: "mask", "data-mask": number, tabindex: 0, role: "button", "aria-label": name, "aria-describedby": "help" });
    const handles = CORNERS.map(([x, y], corner) => this.handle(mask[x], mask[y], number, corner));
    return [shape, ...handles];
  }

  handle(x, y, number, corner) {
    const [cx, cy] = [x * this.size[0], y * this.size[1]];
    const attributes = { class: "handle", "data-mask": number, "data-corner": corner };
    return svg("g", attributes, svg("circle", { class: "reach", cx, cy, r: 14 }), svg("circle", { class: "dot", cx, cy, r: 5 }));
  }

  rectangle([left, top, right, bottom], attributes) {
    const [width, height] = this.size;
    const place = { x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height };
    return svg("rect", { ...place, ...attributes });
  }

  label([left, top], text, state) {
    const [width, height] = this.size;
    const y = Math.max(14, top * height - 5);
    const element = svg("text", { x: left * width + 2, y, class: "tag", "data-state": state }, text);
    // Near the right edge it would be cut off.
    if (left > 0.8) {
      element.setAttribute("text-anchor", "end");
      element.setAttribute("x", width - 2);
    }
    return element;
  }
}
