// What was found when, over the duration of a video or a day: one slider for mouse, touch and
// keyboard, which can be zoomed. What a position means is told by its axis.
//
// Events: "seek" with {time}, while the pointer is dragged too; "point" with {time}, null when the
// pointer leaves; "view" with {from, to}.

import { Chart } from "./chart.js";
import { el, mark, say } from "./dom.js";
import { count } from "./format.js";
import { Gestures } from "./gestures.js";

const FOLLOW = 0.1; // where the playhead is put when it has left the view, as a share of the width
const ZOOM = 0.5; // of the view's length, by a key or button
const COARSE = 6; // times the view's length: data of more than that hides too much

export class Timeline extends EventTarget {
  constructor(axis) {
    super();
    this.axis = axis;
    this.content = { begin: 0, end: 1, known: 0, segments: [], data: EMPTY };
    this.fine = null;
    this.view = { from: 0, to: 1 };
    this.time = 0;
    this.pointed = null; // the moment below the pointer
    this.canvas = el("canvas", {});
    this.head = el("div", { class: "playhead" });
    this.pointer = el("div", { class: "pointer", hidden: true }, el("span", {}));
    this.slider = el(
      "div",
      { class: "strip", role: "slider", tabindex: 0, "aria-label": "Position" },
      this.canvas,
      this.pointer,
      this.head,
    );
    this.labels = el("ul", { class: "labels" });
    // Hidden until it has a length.
    this.root = el("div", { class: "timeline", id: "timeline", hidden: true }, this.labels, this.slider);
    this.chart = new Chart(this.canvas);
    this.gestures = new Gestures(this.slider, this);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.slider);
  }

  close() {
    this.resized.disconnect();
  }

  /** Show a period. The view is kept where it lies in the period. */
  show({ begin, end, known, segments, data }) {
    const { content, view } = this;
    const whole = view.from === content.begin && view.to === content.end;
    this.content = { begin, end, known, segments, data };
    this.fine = null;
    mark(this.slider, "aria-valuemin", begin.toFixed(1));
    mark(this.slider, "aria-valuemax", end.toFixed(1));
    this.labels.replaceChildren(...data.classes.map(label));
    this.root.hidden = false;
    if (whole || view.to <= begin || view.from >= end) this.look(begin, end);
    else this.look(view.from, view.to);
  }

  /** Take finer data of a part of the period. */
  refine(data) {
    this.fine = data;
    this.draw();
  }

  /** Whether the server could tell more about what is shown. */
  isCoarse() {
    const { fine, content, view } = this;
    const data = fine && covers(fine, view.from, view.to) ? fine : content.data;
    return data.step > 1 && data.step * data.frames.length > COARSE * this.span;
  }

  /** The most detailed data of a moment. */
  dataAt(seconds) {
    return this.fine && covers(this.fine, seconds) ? this.fine : this.content.data;
  }

  /** Place the playhead. The view follows it, unless it was moved away; after a `jump` always. */
  moveTo(seconds, jump) {
    const { from, to } = this.view;
    const seen = (time) => time >= from && time <= to;
    const follows = (jump || seen(this.time)) && !seen(seconds) && !this.gestures.active;
    this.time = seconds;
    if (follows) {
      const start = seconds - (to - from) * FOLLOW;
      this.look(start, start + to - from);
    }
    mark(this.slider, "aria-valuenow", seconds.toFixed(1));
    this.placeHead();
  }

  tell(text) {
    mark(this.slider, "aria-valuetext", text);
  }

  /** Show a part of the period: its length is kept, at its ends too. */
  look(from, to) {
    const { begin, end } = this.content;
    const span = Math.min(Math.max(to - from, Math.min(this.axis.least, end - begin)), end - begin);
    const start = Math.min(Math.max(from, begin), end - span);
    this.view = { from: start, to: start + span };
    this.draw();
    this.dispatchEvent(new CustomEvent("view", { detail: this.view }));
  }

  /** Show less for a factor below 1; the moment `at` stays where it is. */
  zoom(factor, at = this.time) {
    const { from, to } = this.view;
    const fixed = at >= from && at <= to ? at : (from + to) / 2;
    const { begin, end } = this.content;
    const least = Math.min(this.axis.least, end - begin);
    const span = Math.min(Math.max((to - from) * factor, least), end - begin);
    const start = fixed - ((fixed - from) * span) / (to - from);
    this.look(start, start + span);
  }

  zoomIn() {
    this.zoom(ZOOM);
  }

  zoomOut() {
    this.zoom(1 / ZOOM);
  }

  showWhole() {
    this.look(this.content.begin, this.content.end);
  }

  get span() {
    return this.view.to - this.view.from;
  }

  /** The moment at a place of the screen. */
  momentAt(x) {
    const place = this.slider.getBoundingClientRect();
    const share = Math.min(Math.max((x - place.left) / place.width, 0), 1);
    return this.view.from + share * this.span;
  }

  seek(time) {
    this.dispatchEvent(new CustomEvent("seek", { detail: { time } }));
  }

  /** Show the time below the pointer; null where there is none. */
  point(time) {
    this.pointed = time;
    this.pointer.hidden = time === null;
    if (time !== null) {
      const share = (time - this.view.from) / this.span;
      this.pointer.style.left = `${100 * share}%`;
      this.pointer.classList.toggle("turned", share > 0.5);
      say(this.pointer.firstChild, this.axis.text(time, true));
      mark(this.slider, "title", this.axis.title(time));
    }
    this.dispatchEvent(new CustomEvent("point", { detail: { time } }));
  }

  placeHead() {
    const share = (this.time - this.view.from) / this.span;
    this.head.hidden = share < 0 || share > 1;
    this.head.style.left = `${100 * share}%`;
  }

  draw() {
    const { content, view } = this;
    const data = this.fine && covers(this.fine, view.from, view.to) ? this.fine : content.data;
    const rows = content.data.classes.map((each) => each.label);
    const until = Math.min(content.end, Math.max(Date.now() / 1000, content.begin));
    this.chart.draw(view, content, data, rows, this.axis, until);
    this.placeHead();
  }
}

const EMPTY = { begin: 0, step: 1, frames: [], flicker: [], classes: [] };

/** Whether data tells of all moments of a period. */
export function covers(data, from, to = from) {
  return from >= data.begin && to <= data.begin + data.step * data.frames.length;
}

/** The values of data at a moment. */
export function valuesAt(data, seconds) {
  const bucket = Math.floor((seconds - data.begin) / data.step + 1e-6);
  const index = Math.min(Math.max(bucket, 0), data.frames.length - 1);
  const classes = data.classes
    .map(({ label, counts, lifts }) => ({ label, count: counts[index], lift: lifts[index] }))
    .filter(({ count }) => count);
  return { classes, frames: data.frames[index] ?? 0, flicker: data.flicker[index] ?? null };
}

function label({ label: name, colour, total }) {
  const swatch = el("i", { "aria-hidden": "true" });
  swatch.style.background = colour;
  return el("li", { title: `${name}: ${total} detections` }, swatch, el("span", {}, name), el("b", {}, count(total)));
}
