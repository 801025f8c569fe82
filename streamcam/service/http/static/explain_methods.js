// What several methods say of the chosen box, side by side, with the audit's numbers.

import { el, Keyed, mark, say, svg } from "./dom.js";
import { lift, milliseconds, percent } from "./format.js";
import { get, send } from "./server.js";

const MOST = 4;
const PERIOD = 400; // ms between two looks at what is being made
const STAGES = {
  waiting: "Waiting",
  map: "Making the map",
  chance: "Measuring random maps, for comparison",
  numbers: "Measuring the map",
};
const MARKS = { better: "✓", undecided: "?", worse: "✗" };
const NUMBERS = [
  ["deletion", "deletion ↓"],
  ["insertion", "insertion ↑"],
  ["road", "ROAD ↑"],
];

export class Methods extends EventTarget {
  /**
   * Fires "look" with the address of the map that is to be shown on the picture, or null, as its
   * detail, and "fault" with an error.
   */
  constructor(session, { choices, cards, zoom }) {
    super();
    this.session = session;
    this.box = 0;
    this.views = new Map();
    this.shown = null; // the method on the large picture
    const wished = session.chosen.filter((name) => session.methods.some((method) => method.name === name));
    const usual = ["layercam", "gradcam", "eigencam"].filter((name) => session.methods.some((method) => method.name === name));
    this.wanted = (wished.length ? wished : usual).slice(0, MOST);
    this.shown = this.wanted[0] ?? null;
    this.boxes = session.methods.map((method) => this.choice(method));
    choices.append(...this.boxes.map(({ label }) => label));
    this.cards = new Keyed(cards, (name) => this.card(name));
    this.zoom = zoom;
    zoom.addEventListener("change", () => this.update());
    this.limit();
    this.watch();
  }

  choice({ name, label, meaning, passes }) {
    const input = el("input", { type: "checkbox", value: name, checked: this.wanted.includes(name), onchange: () => this.toggle(name, input.checked) });
    const title = `${meaning}${passes ? " (slow)" : ""}`;
    return { name, input, label: el("label", { title }, input, label, passes ? el("small", {}, "slow") : null) };
  }

  toggle(name, on) {
    this.wanted = on ? [...this.wanted, name] : this.wanted.filter((each) => each !== name);
    if (!this.wanted.includes(this.shown)) this.shown = this.wanted.at(-1) ?? null;
    this.limit();
    this.ask();
  }

  /** No more than fit beside each other. */
  limit() {
    for (const { name, input } of this.boxes)
      input.disabled = this.wanted.length >= MOST && !this.wanted.includes(name);
  }

  choose(box) {
    this.box = box;
    this.ask();
  }

  async ask() {
    this.update();
    try {
      await send("PUT", "/api/wanted", { box: this.box, methods: this.wanted });
      await this.look();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("fault", { detail: error }));
    }
  }

  async watch() {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
      if (!document.hidden && this.isBusy()) await this.look().catch(() => {});
    }
  }

  isBusy() {
    return this.wanted.some((name) => !["done", "failed"].includes(this.viewOf(name)?.stage));
  }

  async look() {
    if (!this.wanted.length) return;
    const { box } = this;
    const query = this.wanted.map((name) => `method=${encodeURIComponent(name)}`).join("&");
    for (const view of await get(`/api/boxes/${box}/methods?${query}`)) this.views.set(`${box} ${view.method}`, view);
    this.update();
  }

  viewOf(name) {
    return this.views.get(`${this.box} ${name}`);
  }

  update() {
    this.cards.update(this.wanted.map((name) => [name, this.viewOf(name)]));
    const shown = this.viewOf(this.shown);
    this.dispatchEvent(new CustomEvent("look", { detail: shown?.has_map ? this.url(this.shown) : null }));
  }

  url(name) {
    return `/api/boxes/${this.box}/maps/${encodeURIComponent(name)}`;
  }

  card(name) {
    const { label, meaning } = this.session.methods.find((method) => method.name === name);
    const { width, height } = this.session;
    const whole = { x: 0, y: 0, width, height };
    const heat = svg("image", { ...whole, preserveAspectRatio: "none", class: "heat" });
    const outline = svg("rect", { class: "outline" });
    const picture = svg("image", { ...whole, href: "/api/picture", preserveAspectRatio: "none" });
    const map = svg("svg", { role: "img", "aria-label": `Map by ${label}` }, picture, heat, outline);
    const radio = el("input", { type: "radio", name: "shown", value: name, onchange: () => this.show(name) });
    const [verdict, progress, stage] = [el("p", { class: "verdict" }), el("progress", { max: 1 }), el("p", { class: "quiet" })];
    const numbers = el("dl", { class: "numbers-of" });
    const title = el("h3", {}, el("label", {}, radio, label, el("small", {}, "on the picture")));
    const root = el("article", { class: "card", "data-method": name }, title, map, el("p", { class: "quiet" }, `Shows ${meaning}.`), verdict, stage, progress, numbers);
    const parts = { map, heat, outline, radio, verdict, progress, stage, numbers };
    return { root, update: (view) => this.fillCard(name, parts, view) };
  }

  show(name) {
    this.shown = name;
    this.update();
  }

  fillCard(name, { map, heat, outline, radio, verdict, progress, stage, numbers }, view) {
    radio.checked = name === this.shown;
    const { width, height, boxes } = this.session;
    const [left, top, right, bottom] = boxes[this.box].box.map((share, edge) => share * (edge % 2 ? height : width));
    for (const [key, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) mark(outline, key, value);
    mark(map, "viewBox", this.zoom.checked ? around([left, top, right, bottom], width, height) : `0 0 ${width} ${height}`);
    if (view?.has_map) mark(heat, "href", this.url(name));
    else heat.removeAttribute("href");
    const working = STAGES[view?.stage ?? "waiting"];
    progress.hidden = !working;
    stage.hidden = !working;
    say(stage, working ? `${working}…` : "");
    if (view?.share) progress.value = view.share;
    else progress.removeAttribute("value");
    verdict.dataset.trust = view?.error ? "failed" : (view?.trust ?? "");
    verdict.dataset.mark = MARKS[view?.trust] ?? "";
    say(verdict, view?.error ?? view?.verdict ?? "");
    numbers.replaceChildren(...numbersOf(view).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
  }
}

/** What is known of a map, as pairs of a name and a value. */
function numbersOf(view) {
  if (!view?.has_map) return [];
  const audit = view.numbers ? NUMBERS.map(([key, name]) => [name, view.numbers[key].toFixed(2)]) : [];
  return [
    ...audit,
    ["heat in the box", `${percent(view.energy)}, lift ${lift(view.lift)}`],
    ["peak", view.peak_inside ? "in the box" : "outside"],
    ...(view.seconds === null ? [] : [["made in", milliseconds(view.seconds)]]),
  ];
}

/** The part of the picture around a box, in the picture's proportions. */
function around([left, top, right, bottom], width, height) {
  const share = Math.min(1, Math.max(0.2, (2 * (right - left)) / width, (2 * (bottom - top)) / height));
  const [wide, high] = [share * width, share * height];
  const x = Math.min(Math.max((left + right - wide) / 2, 0), width - wide);
  const y = Math.min(Math.max((top + bottom - high) / 2, 0), height - high);
  return `${x} ${y} ${wide} ${high}`;
}
