// A month's days, in the reader's local time; those with recordings can be chosen.

import { el, say } from "./dom.js";

const MONDAY = 1;

/** A local day: the key by which it is known, "2026-03-01", and when it begins and ends. */
export class Day {
  constructor(year, month, day) {
    this.date = new Date(year, month, day);
    this.key = dayKey(this.date);
  }

  static of(seconds) {
    const at = new Date(seconds * 1000);
    return new Day(at.getFullYear(), at.getMonth(), at.getDate());
  }

  /** By its key. */
  static named(key) {
    const [year, month, day] = key.split("-").map(Number);
    return new Day(year, month - 1, day);
  }

  get begin() {
    return this.date.getTime() / 1000;
  }

  /** Not 24 hours later where clocks are put forward or back. */
  get end() {
    return this.shifted(1).begin;
  }

  shifted(days) {
    return new Day(this.date.getFullYear(), this.date.getMonth(), this.date.getDate() + days);
  }

  text() {
    return this.date.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  }
}

function dayKey(date) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export class Calendar extends EventTarget {
  /** Dispatches "day" with {day}, and "month" with {first}, a month's first day. */
  constructor() {
    super();
    this.title = el("h3", { "aria-live": "polite" });
    this.before = this.arrow("‹", "Month before", -1);
    this.after = this.arrow("›", "Month after", 1);
    this.table = el("table", {});
    this.root = el(
      "div",
      { class: "calendar", role: "group", "aria-label": "Days with recordings" },
      el("header", {}, this.before, this.title, this.after),
      this.table,
    );
    this.table.addEventListener("keydown", (event) => this.key(event));
  }

  arrow(text, name, months) {
    const go = () => this.turn(months);
    return el("button", { type: "button", "aria-label": name, title: name, onclick: go }, text);
  }

  turn(months) {
    const { date } = this.first;
    const first = new Day(date.getFullYear(), date.getMonth() + months, 1);
    this.dispatchEvent(new CustomEvent("month", { detail: { first } }));
  }

  /**
   * Show a month.
   * @param {Day} first its first day
   * @param {Map} recorded number of segments by the keys of days
   * @param {string} chosen the key of the day that is shown
   * @param {{earliest: string, latest: string}} bounds keys of the first and last day of all
   */
  show(first, recorded, chosen, bounds) {
    this.first = first;
    say(this.title, first.date.toLocaleDateString("en-GB", { month: "long", year: "numeric" }));
    const next = new Day(first.date.getFullYear(), first.date.getMonth() + 1, 1);
    this.before.disabled = !(bounds.earliest < first.key);
    this.after.disabled = !(bounds.latest >= next.key);
    const held = this.table.contains(document.activeElement) ? document.activeElement.dataset.day : null;
    const offset = (first.date.getDay() - MONDAY + 7) % 7;
    const weeks = [];
    for (let day = first.shifted(-offset); day.key < next.key; day = day.shifted(7)) {
      const days = [0, 1, 2, 3, 4, 5, 6].map((number) => day.shifted(number));
      weeks.push(el("tr", {}, ...days.map((each) => this.cell(each, recorded, chosen))));
    }
    this.table.replaceChildren(heads(first.shifted(-offset)), el("tbody", {}, ...weeks));
    if (held) this.table.querySelector(`[data-day="${held}"]`)?.focus();
  }

  cell(day, recorded, chosen) {
    const text = String(day.date.getDate());
    if (day.date.getMonth() !== this.first.date.getMonth()) return el("td", {});
    const segments = recorded.get(day.key);
    if (!segments) return el("td", {}, el("span", {}, text));
    const button = el(
      "button",
      {
        type: "button",
        "data-day": day.key,
        "aria-label": `${day.text()}, recorded`,
        "aria-current": day.key === chosen ? "date" : null,
        title: `${day.text()}: ${segments} ${segments === 1 ? "segment" : "segments"}`,
        onclick: () => this.dispatchEvent(new CustomEvent("day", { detail: { day } })),
      },
      text,
    );
    return el("td", {}, button);
  }

  /** Arrows go to the next recorded day in their direction, Page Up and Down to other months. */
  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
    const months = { PageUp: -1, PageDown: 1 }[event.key];
    const { day } = event.target.dataset;
    if (months && !(months < 0 ? this.before : this.after).disabled) this.turn(months);
    else if (steps[event.key] && day) this.focusFrom(day, steps[event.key]);
    else return;
    event.preventDefault();
  }

  focusFrom(key, step) {
    const month = this.first.date.getMonth();
    for (let at = Day.named(key).shifted(step); at.date.getMonth() === month; at = at.shifted(step)) {
      const button = this.table.querySelector(`[data-day="${at.key}"]`);
      if (button) return button.focus();
    }
  }
}

function heads(first) {
  const names = [0, 1, 2, 3, 4, 5, 6].map((number) => first.shifted(number).date);
  const cells = names.map((date) => {
    const name = (weekday) => date.toLocaleDateString("en-GB", { weekday });
    return el("th", { scope: "col", abbr: name("long") }, name("short").slice(0, 2));
  });
  return el("thead", {}, el("tr", {}, ...cells));
}
