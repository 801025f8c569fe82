// Mouse and touch on a timeline: a drag seeks, a drag of the axis moves the view, two fingers and
// the wheel zoom.

import { AXIS } from "./chart.js";

const NOTCH = 100; // px of a wheel's step
const ZOOM = 0.8; // of the view's length, a step

export class Gestures {
  constructor(element, timeline) {
    this.element = element;
    this.timeline = timeline;
    this.pointers = new Map();
    this.held = null; // the moments below the pointers when they came
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"])
      element.addEventListener(name, (event) => this.up(event));
    element.addEventListener("pointerleave", (event) => {
      if (!this.pointers.has(event.pointerId)) timeline.point(null);
    });
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Whether a pointer is down. */
  get active() {
    return this.pointers.size > 0;
  }

  down(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event.clientX);
    const place = this.element.getBoundingClientRect();
    this.moves = this.pointers.size > 1 || event.clientY > place.bottom - AXIS;
    this.hold();
    if (!this.moves) this.timeline.seek(this.timeline.momentAt(event.clientX));
  }

  move(event) {
    const { timeline } = this;
    if (!this.pointers.has(event.pointerId)) {
      timeline.point(timeline.momentAt(event.clientX));
      return;
    }
    this.pointers.set(event.pointerId, event.clientX);
    if (this.moves) {
      this.drag();
      return;
    }
    timeline.point(timeline.momentAt(event.clientX));
    timeline.seek(timeline.momentAt(event.clientX));
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.hold();
    if (event.pointerType === "touch") this.timeline.point(null);
  }

  hold() {
    this.held = [...this.pointers.values()].map((x) => this.timeline.momentAt(x));
  }

  /** Change the view such that what was held stays below the pointers. */
  drag() {
    const places = [...this.pointers.values()].slice(0, 2);
    const { left, width } = this.element.getBoundingClientRect();
    const shares = places.map((x) => (x - left) / width);
    let { span } = this.timeline;
    if (places.length > 1 && Math.abs(shares[1] - shares[0]) > 0.02)
      span = (this.held[1] - this.held[0]) / (shares[1] - shares[0]);
    if (!(span > 0)) return;
    const from = this.held[0] - shares[0] * span;
    this.timeline.look(from, from + span);
  }

  wheel(event) {
    event.preventDefault();
    const { timeline } = this;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      const shift = ((sideways * lines) / this.element.clientWidth) * timeline.span;
      timeline.look(timeline.view.from + shift, timeline.view.to + shift);
    } else {
      timeline.zoom(ZOOM ** ((-event.deltaY * lines) / NOTCH), timeline.momentAt(event.clientX));
    }
    timeline.point(timeline.momentAt(event.clientX));
  }
}
