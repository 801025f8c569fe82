// A camera's recordings: a calendar, and the chosen day in a player. Days are the reader's own.

import { Calendar, Day } from "./calendar.js";
import { el, mark, say } from "./dom.js";
import { downloads } from "./files.js";
import { RecordedFootage } from "./footage.js";
import { Player } from "./player.js";
import { get } from "./server.js";

const PERIOD = 20_000; // ms between looks for new segments of today

export class Recordings {
  /** `moment` is a segment's name, or a time in its form, or undefined for the latest. */
  constructor(camera, moment) {
    this.camera = camera;
    this.moment = moment ? momentOf(moment) : null;
    this.name = moment ?? null; // the segment to begin with
    this.asked = false;
    this.player = null;
    this.months = new Map();
    this.bounds = { earliest: "", latest: "" };
    this.calendar = new Calendar();
    this.calendar.addEventListener("day", (event) => this.open(event.detail.day));
    this.calendar.addEventListener("month", (event) => this.showMonth(event.detail.first));
    this.title = el("h2", { "aria-live": "polite" }, "Recordings");
    this.zone = el("span", { class: "quiet" });
    this.before = this.arrow("‹", "Day before", -1);
    this.after = this.arrow("›", "Day after", 1);
    this.links = el("div", {});
    this.place = el("div", {});
    this.root = el(
      "section",
      { class: "recordings", "aria-label": "Recordings", hidden: true },
      el("header", { class: "head" }, this.before, this.title, this.after, this.zone),
      this.place,
    );
  }

  arrow(text, name, days) {
    const go = () => this.turn(days);
    return el("button", { type: "button", class: "turn", "aria-label": name, title: name, onclick: go }, text);
  }

  /** Called with every status: whether there are recordings. */
  offer(recorded) {
    this.root.hidden = !recorded;
    if (!recorded || this.asked) return;
    this.asked = true;
    this.begin();
    this.timer = setInterval(() => this.refresh(), PERIOD);
  }

  async begin() {
    try {
      const today = Day.of(Date.now() / 1000);
      await this.fetchMonth(today);
      const latest = this.moment === null ? await this.latest() : Day.of(this.moment);
      await this.open(latest ?? today);
    } catch (error) {
      this.place.replaceChildren(el("p", { class: "fault" }, error.message));
    }
  }

  /** The last day with recordings. */
  async latest() {
    return this.bounds.latest ? this.neighbour(Day.named(this.bounds.latest).shifted(1), -1) : null;
  }

  /** Open a day in the player. */
  async open(day) {
    if (this.day?.key !== day.key) this.change(day);
    await this.showMonth(new Day(day.date.getFullYear(), day.date.getMonth(), 1));
    const [before, after] = await Promise.all([this.neighbour(day, -1), this.neighbour(day, 1)]);
    if (this.day.key !== day.key) return;
    this.before.disabled = !before;
    this.after.disabled = !after;
  }

  change(day) {
    this.day = day;
    this.player?.close();
    say(this.title, day.text());
    say(this.zone, zoneName(day.date));
    mark(this.zone, "title", `${utc(day.begin)} to ${utc(day.end)}`);
    const { activeElement } = document;
    const footage = new RecordedFootage(this.camera, day.begin, day.end);
    footage.addEventListener("change", () => this.start(footage));
    this.player = new Player(footage, this.calendar.root, this.links);
    this.player.addEventListener("segment", (event) => this.showSegment(event.detail.segment));
    this.place.replaceChildren(this.player.root);
    // The calendar has moved to the new player, which took the focus from it.
    if (this.calendar.root.contains(activeElement)) activeElement.focus({ preventScroll: true });
  }

  /** Show the wanted moment, otherwise the latest segment, as soon as it was read. */
  start(footage) {
    if (this.player.footage !== footage || this.player.segment) return;
    const { segments } = footage;
    const named = segments.find(({ name }) => name === this.name);
    if (this.moment !== null && !named && footage.pending) return;
    if (named) this.player.seek(named.begin);
    else if (this.moment !== null) this.player.seek(this.moment);
    else if (segments.length) this.player.seek(segments.at(-1).begin);
    if (this.moment !== null) this.root.scrollIntoView({ block: "start" });
    this.moment = this.name = null;
  }

  showSegment(segment) {
    this.links.replaceChildren(downloads(segment.files));
    const address = `#/camera/${encodeURIComponent(this.camera)}/${segment.name}`;
    history.replaceState(null, "", address);
  }

  async refresh() {
    const footage = this.player?.footage;
    if (document.hidden || !footage?.grows) return;
    this.months.clear();
    await footage.load().catch(() => {});
  }

  async turn(days) {
    const day = await this.neighbour(this.day, days);
    if (day) await this.open(day);
  }

  /** The next recorded day before or after a day; null where there is none. */
  async neighbour(day, direction) {
    const { earliest, latest } = this.bounds;
    for (let at = day.shifted(direction); at.key >= earliest && at.key <= latest; at = at.shifted(direction))
      if ((await this.fetchMonth(at)).has(at.key)) return at;
    return null;
  }

  async showMonth(first) {
    const recorded = await this.fetchMonth(first);
    this.calendar.show(first, recorded, this.day?.key, this.bounds);
  }

  /** Fetch the recorded days of a day's month: number of segments by key. */
  async fetchMonth(day) {
    const [year, month] = [day.date.getFullYear(), day.date.getMonth()];
    const known = this.months.get(year * 12 + month);
    if (known) return known;
    const range = { from: iso(new Day(year, month, 1).begin), to: iso(new Day(year, month + 1, 1).begin) };
    const camera = encodeURIComponent(this.camera);
    const answer = await get(`/api/cameras/${camera}/hours?${new URLSearchParams(range)}`);
    // A day in UTC touches the local days around it.
    if (answer.earliest)
      this.bounds = {
        earliest: Day.named(answer.earliest).shifted(-1).key,
        latest: Day.named(answer.latest).shifted(1).key,
      };
    const recorded = new Map();
    for (const { first, last, segments } of answer.hours)
      // Where local midnight lies within an hour of UTC, its segments may belong to two days.
      for (const key of new Set([first, last].map((text) => Day.of(Date.parse(text) / 1000).key)))
        recorded.set(key, (recorded.get(key) ?? 0) + segments);
    this.months.set(year * 12 + month, recorded);
    return recorded;
  }

  close() {
    clearInterval(this.timer);
    this.player?.close();
  }
}

function iso(seconds) {
  return new Date(seconds * 1000).toISOString();
}

function utc(seconds) {
  return `${iso(seconds).slice(0, 16).replace("T", " ")} UTC`;
}

/** Seconds since 1970 of a segment's name, "20260301T120000" or "20260301T120000-2". */
function momentOf(name) {
  const text = name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d).*$/, "$1-$2-$3T$4:$5:$6Z");
  const found = Date.parse(text) / 1000;
  return Number.isFinite(found) ? found : null;
}

function zoneName(date) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const short = date.toLocaleTimeString("en-GB", { timeZoneName: "shortOffset" }).split(" ").at(-1);
  return zone === "UTC" ? "UTC" : `${zone}, ${short}`;
}
