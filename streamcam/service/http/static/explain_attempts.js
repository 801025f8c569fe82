// The score of the chosen box without what is masked, now and in earlier attempts.

import { el, say } from "./dom.js";
import { milliseconds, percent } from "./format.js";
import { summary } from "./explain_masks.js";
import { send } from "./server.js";

const KEPT = 100; // attempts

/** Asks for the newest attempt only: while one is answered, those in between are left out. */
export class Asker {
  constructor(answered, failed) {
    this.answered = answered;
    this.failed = failed;
    this.waiting = null;
    this.busy = false;
  }

  async ask(request) {
    this.waiting = request;
    if (this.busy) return;
    this.busy = true;
    while (this.waiting) {
      const now = this.waiting;
      this.waiting = null;
      try {
        const answer = await send("POST", "/api/attempts", now);
        this.answered(now, answer);
      } catch (error) {
        this.failed(error);
      }
    }
    this.busy = false;
  }
}

/** "−68 points": how a score changed. */
export function change(from, to) {
  const points = Math.round(to * 100) - Math.round(from * 100);
  if (points === 0) return "No change";
  return `${points > 0 ? "+" : "−"}${Math.abs(points)} ${Math.abs(points) === 1 ? "point" : "points"}`;
}

/** The score as number and bar, with the detector's threshold. */
export class Score {
  constructor(root, confidence) {
    this.confidence = confidence;
    this.number = el("output", { class: "number", for: "stage" });
    this.meter = el("meter", { min: 0, max: 1, low: confidence, high: confidence, optimum: 1, "aria-label": "Score without what is masked" });
    this.mark = el("i", { class: "threshold", title: `Threshold ${percent(confidence)}` });
    this.mark.style.setProperty("--at", confidence);
    this.words = el("p", { role: "status" });
    this.time = el("p", { class: "quiet" });
    root.append(this.number, el("div", { class: "level" }, this.meter, this.mark), this.words, this.time);
  }

  /** Show an answer about a box, given by its number among those of the picture. */
  show(number, boxes, answer, masked, settled) {
    const { score, detected, milliseconds: took } = answer;
    say(this.number, score ? percent(score) : "< 1 %");
    this.meter.value = score;
    this.number.dataset.detected = detected;
    const plain = "The picture as it is. Mask a region to see what the score depends on.";
    // Screen readers are told at the end of a drag, not on its way.
    if (settled) say(this.words, masked ? this.inWords(number, boxes, answer) : plain);
    say(this.time, `detected again in ${milliseconds(took / 1000)}`);
  }

  inWords(number, boxes, { score, unmasked, detected, lost, appeared }) {
    const { label } = boxes[number];
    const still = detected ? "is still reported" : `is not reported any more: the threshold is ${percent(this.confidence)}`;
    const others = lost.filter((each) => each !== number).map((each) => boxes[each].label);
    return [
      `${change(unmasked, score)}; the ${label} ${still}.`,
      others.length ? `Lost too: ${others.join(", ")}.` : null,
      appeared.length ? `New: ${appeared.map((one) => `${one.label} ${percent(one.score)}`).join(", ")}.` : null,
    ]
      .filter(Boolean)
      .join(" ");
  }
}

/** The table of attempts of a box. */
export class History {
  constructor(root, restore) {
    this.restore = restore;
    this.attempts = [];
    this.rows = el("tbody", {});
    const heads = ["Masked", "Fill", "Score", "Change", ""].map((text) => el("th", { scope: "col" }, text));
    this.table = el("table", { class: "found" }, el("caption", {}, "Attempts"), el("thead", {}, el("tr", {}, ...heads)), this.rows);
    this.table.hidden = true;
    root.append(this.table);
  }

  add(request, answer) {
    if (this.attempts.some((one) => JSON.stringify(one.request) === JSON.stringify(request))) return;
    this.attempts = [...this.attempts, { request, answer }].slice(-KEPT);
  }

  show(box) {
    const own = this.attempts.filter(({ request }) => request.box === box).reverse();
    this.rows.replaceChildren(...own.map((one) => this.row(one)));
    this.table.hidden = !own.length;
  }

  row({ request, answer }) {
    const what = summary(request.regions);
    const again = el("button", { type: "button", "aria-label": `Show again: ${what}, ${request.fill}`, onclick: () => this.restore(request) }, "Show");
    const cells = [what, request.fill, answer.score ? percent(answer.score) : "< 1 %", change(answer.unmasked, answer.score), again];
    const fall = answer.score < answer.unmasked ? "fall" : "rise";
    return el("tr", { "data-change": fall }, ...cells.map((cell) => el("td", {}, cell)));
  }
}
