// Counts and focus of each class over a video's duration: one slider for mouse and keyboard. The
// player describes the values at a moment in words.

import { el, mark } from "./dom.js";
import { position } from "./format.js";

const AXIS = 18; // px
const HOT = 8; // the lift that has the last colour

export class TimelineChart extends EventTarget {
  /** `data` is the API's timeline; `seek(seconds)` moves the video. */
  constructor(data, seek) {
    super();
    this.data = data;
    this.seek = seek;
    this.end = data.start + data.step * data.frames.length;
    this.pointed = false;
    this.canvas = el("canvas", {});
    this.head = el("div", { class: "playhead" });
    this.slider = el(
      "div",
      { class: "strip", role: "slider", tabindex: 0, "aria-label": "Position", "aria-valuemin": 0 },
      this.canvas,
      this.head,
    );
    this.root = el("div", { class: "timeline", id: "timeline" }, this.labels(), this.slider);
    this.listen();
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.slider);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.scheme.addEventListener("change", this.redraw);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
  }

  /** The values at a moment. */
  at(seconds) {
    const last = this.data.frames.length - 1;
    const bucket = Math.floor((seconds - this.data.start) / this.data.step + 1e-6);
    const index = Math.min(Math.max(bucket, 0), last);
    const classes = this.data.classes
      .map(({ label, counts, lifts }) => ({ label, count: counts[index], lift: lifts[index] }))
      .filter(({ count }) => count);
    return { classes, frames: this.data.frames[index], flicker: this.data.flicker[index] };
  }

  moveTo(seconds, duration) {
    if (Number.isFinite(duration) && duration > this.end) {
      this.end = duration;
      this.draw();
    }
    this.head.style.left = `${(100 * Math.min(seconds, this.end)) / this.end}%`;
    this.slider.setAttribute("aria-valuemax", this.end.toFixed(1));
    this.slider.setAttribute("aria-valuenow", seconds.toFixed(1));
  }

  tell(text) {
    mark(this.slider, "aria-valuetext", text);
  }

  labels() {
    const rows = this.data.classes.map(({ label, total }) =>
      el("li", { title: `${label}: ${total} detections` }, el("span", {}, label), el("b", {}, total)),
    );
    return el("ul", { class: "labels" }, ...rows);
  }

  listen() {
    const moment = (event) => {
      const place = this.slider.getBoundingClientRect();
      const share = (event.clientX - place.left) / place.width;
      return Math.min(Math.max(share, 0), 1) * this.end;
    };
    const point = (event) => {
      this.pointed = true;
      this.dispatchEvent(new CustomEvent("point", { detail: moment(event) }));
    };
    this.slider.addEventListener("pointerdown", (event) => {
      this.slider.setPointerCapture(event.pointerId);
      this.seek(moment(event));
    });
    this.slider.addEventListener("pointermove", (event) => {
      point(event);
      if (this.slider.hasPointerCapture(event.pointerId)) this.seek(moment(event));
    });
    this.slider.addEventListener("pointerleave", () => {
      this.pointed = false;
    });
  }

  draw() {
    const width = this.slider.clientWidth;
    if (!width) return;
    const style = getComputedStyle(this.slider);
    const pixels = (name) => Number.parseFloat(style.getPropertyValue(name));
    const [row, bar] = [pixels("--row"), pixels("--bar")];
    const bottom = row * Math.max(1, this.data.classes.length);
    const height = bottom + AXIS;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    this.data.classes.forEach((line, index) => {
      this.drawClass(pen, width, (index + 1) * row - 1, bar, line, style);
    });
    this.drawAxis(pen, width, bottom, style);
  }

  drawClass(pen, width, floor, bar, { counts, lifts }, style) {
    pen.fillStyle = style.getPropertyValue("--line");
    pen.fillRect(0, floor, width, 1);
    const most = Math.max(1, ...counts);
    const colours = [0, 1, 2, 3, 4].map((step) => style.getPropertyValue(`--heat-${step}`));
    const wide = (width * this.data.step) / this.end;
    counts.forEach((count, index) => {
      if (!count) return;
      const high = Math.max(3, bar * (count / most));
      const left = (width * (this.data.start + index * this.data.step)) / this.end;
      pen.fillStyle = colours[heat(lifts[index])];
      pen.fillRect(left, floor - high, Math.max(1, wide - (wide > 4 ? 1 : 0)), high);
    });
  }

  drawAxis(pen, width, top, style) {
    pen.fillStyle = style.getPropertyValue("--quiet");
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = "bottom";
    const step = tick(this.end, width);
    for (let at = 0; at <= this.end; at += step) {
      const left = (width * at) / this.end;
      const text = position(at);
      pen.fillRect(left, top, 1, 4);
      const room = pen.measureText(text).width;
      if (left + room + 3 < width) pen.fillText(text, left + 3, top + AXIS);
    }
  }
}

/** The index of the colour of a lift, of five on a logarithmic scale from chance (1) to HOT. */
function heat(lift) {
  const share = Math.log(Math.max(lift ?? 1, 1)) / Math.log(HOT);
  return Math.min(4, Math.floor(share * 5));
}

/** Seconds between two marks, which get about 80 px each. */
function tick(length, width) {
  const least = (length * 80) / width;
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
  return steps.find((step) => step >= least) ?? 86400;
}
