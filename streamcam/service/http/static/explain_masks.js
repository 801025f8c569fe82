// Masked rectangles, [left, top, right, bottom] in shares of the picture's width and height, 0..1.

import { percent } from "./format.js";

const LEAST = 0.005; // of a side: what a finger that only taps moves

/** The rectangle between two corners, inside the picture. */
export function between([ax, ay], [bx, by]) {
  const inside = (share) => rounded(Math.min(Math.max(share, 0), 1));
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)].map(inside);
}

/** A rectangle moved, as far as the picture goes. */
export function moved([left, top, right, bottom], dx, dy) {
  const x = Math.min(Math.max(dx, -left), 1 - right);
  const y = Math.min(Math.max(dy, -top), 1 - bottom);
  return [left + x, top + y, right + x, bottom + y].map(rounded);
}

/** A rectangle whose right and lower edges are moved. */
export function resized([left, top, right, bottom], dx, dy) {
  const edge = (low, high) => rounded(Math.min(Math.max(high, low + 2 * LEAST), 1));
  return [left, top, edge(left, right + dx), edge(top, bottom + dy)];
}

/** Whether a rectangle is large enough to be meant. */
export function isMeant([left, top, right, bottom]) {
  return right - left >= LEAST && bottom - top >= LEAST;
}

export function area([left, top, right, bottom]) {
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}

/** The middle half of a box, as a first mask. */
export function middleOf([left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  return between([left + width / 4, top + height / 4], [right - width / 4, bottom - height / 4]);
}

export function inWords([left, top, right, bottom]) {
  const [wide, high] = [percent(right - left), percent(bottom - top)];
  return `${percent(left)} across, ${percent(top)} down, ${wide} wide, ${high} high`;
}

/** What is masked, for the table of attempts. */
export function summary(masks) {
  if (!masks.length) return "nothing";
  const share = masks.reduce((sum, mask) => sum + area(mask), 0);
  const what = masks.length === 1 ? "1 mask" : `${masks.length} masks`;
  return `${what}, ${(share * 100).toFixed(1)} %`;
}

function rounded(share) {
  return Math.round(share * 1e4) / 1e4;
}
