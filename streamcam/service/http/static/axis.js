// What the positions of a timeline mean: seconds of a video, or the time of day.

import { position } from "./format.js";

const pad = (number) => String(number).padStart(2, "0");

/** Seconds between two marks of an axis, the first of `steps` that gives each about 80 px. */
function interval(steps, from, to, width) {
  const least = ((to - from) * 80) / width;
  return steps.find((step) => step >= least) ?? steps.at(-1);
}

/** Seconds from the beginning of a video. */
export const videoAxis = {
  /** The shortest period that can be shown, in seconds. */
  least: 5,

  text: (seconds, exact = false) => position(seconds, exact),

  title: () => "",

  /** The marks between two positions: [[seconds, text]]. */
  marks(from, to, width) {
    const step = interval(STEPS, from, to, width);
    const marks = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) marks.push([at, position(at)]);
    return marks;
  },
};

/** The reader's local time; positions are seconds since 1970. */
export const clockAxis = {
  least: 60,

  text(seconds) {
    const at = new Date(seconds * 1000);
    return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  },

  title: (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`,

  marks(from, to, width) {
    const step = interval(STEPS, from, to, width);
    const first = new Date(from * 1000);
    const [year, month, day] = [first.getFullYear(), first.getMonth(), first.getDate()];
    const since = first.getHours() * 3600 + first.getMinutes() * 60 + first.getSeconds();
    const marks = [];
    for (let number = Math.ceil(since / step); ; number += 1) {
      // Made of local hours, so that it is right where clocks are put forward or back.
      const at = new Date(year, month, day, 0, 0, number * step).getTime() / 1000;
      if (at > to) return marks;
      if (at >= from) marks.push([at, this.text(at).slice(0, step < 60 ? 8 : 5)]);
    }
  },
};

const STEPS = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[3600, 7200, 10800, 21600, 43200, 86400],
];
