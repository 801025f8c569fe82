// The events wall: what the cameras found, the newest first. New events appear by themselves, older
// ones as far as somebody scrolls; one of them is shown in a dialog, with its clip.

import { el, Keyed, mark, say } from "./dom.js";
import { EventDialog } from "./event_dialog.js";
import { begun, clock, dayName, length, midnight, suspicion, title } from "./event_words.js";
import { lift, percent } from "./format.js";
import { get } from "./server.js";

const PERIOD = 2000; // ms between looks for new events
const CHOICES_PERIOD = 30_000;
const PAGE = 48;
const WIDTH = 480; // px of a thumbnail's picture: twice the least width of a card, for sharp screens
const DAY = 86_400_000; // ms

const CHOICES = { camera: "cameras", class: "classes", zone: "zones" };

export class EventWall {
  constructor() {
    this.events = [];
    this.next = null; // where the next page of older ones begins
    this.asked = this.askedChoices = -Infinity;
    this.loading = false;
    this.withHeat = true;
    this.filter = new Filter(() => this.go(this.filter.address));
    this.heat = el("input", { type: "checkbox", checked: true, onchange: () => this.toggleHeat() });
    this.filter.root.append(el("label", { class: "check" }, this.heat, "Heat"));
    this.list = el("ul", { class: "events", id: "events" });
    this.cards = new Keyed(this.list, (key) => (key.startsWith("day ") ? dayHead(key) : new EventCard(this)));
    this.note = el("p", { class: "empty", role: "status" }, "Looking…");
    this.end = el("div", { class: "end" });
    this.dialog = new EventDialog(this);
    this.root = el(
      "section",
      { "aria-label": "Events" },
      el("header", { class: "head" }, el("h1", {}, "Events")),
      this.filter.root,
      this.list,
      this.note,
      this.end,
      this.dialog.root,
    );
    this.seen = new IntersectionObserver(([entry]) => entry.isIntersecting && this.more(), { rootMargin: "600px" });
    this.seen.observe(this.end);
    this.base = "#/events"; // the address of the list
  }

  /** Show what an address says; whether it is one of events. */
  follow(address) {
    const [path, query] = address.split("?");
    const [kind, id] = path.split("/").slice(1).map(decodeURIComponent);
    if (kind === "event" && id) {
      this.dialog.open(id);
      return true;
    }
    if (kind !== "events") return false;
    this.dialog.close();
    if (address !== this.base) this.start(query, address);
    return true;
  }

  start(query, address) {
    this.base = address;
    this.filter.read(new URLSearchParams(query));
    this.events = [];
    this.next = null;
    this.asked = -Infinity;
    this.update();
  }

  go(address) {
    location.hash = address;
  }

  update() {
    if (document.hidden) return;
    const now = performance.now();
    if (now - this.asked >= PERIOD) {
      this.asked = now;
      this.refresh();
    }
    if (now - this.askedChoices >= CHOICES_PERIOD) {
      this.askedChoices = now;
      get("/api/events/choices").then((choices) => this.filter.offer(choices), () => {});
    }
    this.dialog.update();
  }

  /** Fetch the newest page, and put it before what there is. */
  async refresh() {
    const { query } = this.filter;
    try {
      const page = await get(`/api/events?${query}&limit=${PAGE}`);
      if (query === this.filter.query) this.merge(page);
    } catch (error) {
      say(this.note, `The events cannot be read: ${error.message}`);
      this.note.hidden = false;
    }
  }

  merge({ events, next }) {
    const last = events.at(-1)?.id;
    const older = next ? this.events.filter(({ id }) => id < last) : [];
    // So many are new that some between them and the known ones would be missing.
    const apart = next && !this.events.some(({ id }) => id >= last);
    if (apart || !older.length) this.next = next;
    this.show(apart ? events : [...events, ...older]);
  }

  /** Fetch the next page of older ones. */
  async more() {
    if (!this.next || this.loading) return;
    this.loading = true;
    const { query } = this.filter;
    try {
      const page = await get(`/api/events?${query}&limit=${PAGE}&before=${encodeURIComponent(this.next)}`);
      if (query !== this.filter.query) return;
      this.next = page.next;
      this.show([...this.events, ...page.events]);
    } catch {
      // The next look at the end of the list tries again.
    } finally {
      this.loading = false;
    }
    // Where the end is still in sight there is room for more.
    this.seen.unobserve(this.end);
    this.seen.observe(this.end);
  }

  show(events) {
    this.events = events;
    this.cards.update(withDays(events));
    this.note.hidden = events.length > 0;
    say(this.note, this.filter.isSet ? "No events fit." : NONE);
    this.dialog.know(events);
  }

  toggleHeat() {
    this.withHeat = this.heat.checked;
    this.cards.update(withDays(this.events));
  }

  /** Take an event out, as it was dismissed or restored. */
  drop(id) {
    this.show(this.events.filter((event) => event.id !== id));
  }

  close() {
    this.seen.disconnect();
    this.dialog.close();
  }
}

const NONE = "No events yet: a camera with a table [camera.events] in the configuration makes some.";

/** [key, event] of every event, and [key, name] of every day before its events. */
function withDays(events) {
  let day = null;
  return events.flatMap((event) => {
    const name = dayName(begun(event));
    const head = name === day ? [] : [[`day ${name}`, name]];
    day = name;
    return [...head, [event.id, event]];
  });
}

function dayHead() {
  const root = el("li", { class: "day" }, el("h2", {}));
  return { root, update: (name) => say(root.firstChild, name) };
}

/** Which events are shown; its state is the page's address. */
class Filter {
  constructor(changed) {
    this.changed = changed;
    this.selects = Object.fromEntries(
      Object.keys(CHOICES).map((key) => [key, el("select", { "aria-label": key, onchange: changed })]),
    );
    this.day = el("input", { type: "date", "aria-label": "Day", onchange: changed });
    this.state = el("select", { "aria-label": "Which", onchange: changed });
    this.state.append(option("", "All events"), option("suspects", "Suspects"), option("dismissed", "Dismissed"));
    this.reset = el("a", { href: "#/events" }, "Reset");
    this.root = el("div", { class: "filters", role: "group", "aria-label": "Filter" });
    this.root.append(...Object.values(this.selects), this.day, this.state, this.reset);
    this.offer({ cameras: [], classes: [], zones: [] });
    this.read(new URLSearchParams());
  }

  /** Offer the values that there are events of, and what is chosen in any case. */
  offer(choices) {
    for (const [key, name] of Object.entries(CHOICES)) {
      const select = this.selects[key];
      const chosen = select.value;
      const values = new Set([...choices[name], ...(chosen ? [chosen] : [])]);
      const options = [option("", `All ${name}`), ...[...values].sort().map((each) => option(each, each))];
      if (options.map(({ value }) => value).join("\n") === [...select.options].map(({ value }) => value).join("\n")) continue;
      select.replaceChildren(...options);
      select.value = chosen;
    }
  }

  read(params) {
    for (const [key, select] of Object.entries(this.selects)) {
      const value = params.get(key) ?? "";
      if (![...select.options].some((each) => each.value === value)) select.append(option(value, value));
      select.value = value;
    }
    this.day.value = params.get("day") ?? "";
    this.state.value = params.get("show") ?? "";
    this.reset.hidden = !this.isSet;
  }

  get chosen() {
    const selects = Object.entries(this.selects).map(([key, { value }]) => [key, value]);
    return [...selects, ["day", this.day.value], ["show", this.state.value]].filter(([, value]) => value);
  }

  get isSet() {
    return this.chosen.length > 0;
  }

  get address() {
    const query = new URLSearchParams(this.chosen).toString();
    return query ? `#/events?${query}` : "#/events";
  }

  /** As the API asks for it; a day is one of this browser's time zone. */
  get query() {
    const params = new URLSearchParams();
    for (const [key, value] of this.chosen) {
      if (key === "show") params.set(value, "true");
      else if (key !== "day") params.set(key, value);
    }
    if (this.day.value) {
      const since = new Date(`${this.day.value}T00:00`);
      params.set("since", since.toISOString());
      // A day may have 23 or 25 hours.
      params.set("until", midnight(new Date(since.getTime() + 1.5 * DAY)).toISOString());
    }
    return params.toString();
  }
}

function option(value, text) {
  return el("option", { value }, text);
}

/** An event in the list. */
class EventCard {
  constructor(wall) {
    this.wall = wall;
    this.shown = el("img", { alt: "", loading: "lazy", decoding: "async" });
    this.other = el("img", { alt: "", class: "other", decoding: "async" });
    this.suspect = el("span", { class: "mark suspect" }, "suspect");
    this.length = el("span", { class: "length" });
    this.label = el("b", {});
    this.source = el("span", { class: "source" });
    this.time = el("time", {});
    this.chips = el("p", { class: "chips" });
    const still = el("div", { class: "still" }, this.shown, this.other, this.suspect, this.length);
    this.link = el("a", {}, still, el("p", { class: "what" }, this.label, this.source, this.time), this.chips);
    this.root = el("li", { class: "event" }, this.link);
    for (const kind of ["pointerenter", "focusin"]) this.root.addEventListener(kind, () => this.peek());
  }

  update(event) {
    this.event = event;
    const begin = begun(event);
    mark(this.link, "href", `#/event/${encodeURIComponent(event.id)}`);
    mark(this.link, "aria-label", `${title(event)}, ${clock(begin)}, ${event.end ? length(event) : "now"}. ${suspicion(event)}`);
    mark(this.root, "data-running", !event.end);
    mark(this.root, "data-clip", event.clip);
    this.suspect.hidden = !event.suspicions.length;
    mark(this.suspect, "title", suspicion(event));
    say(this.length, event.end ? length(event) : `now · ${length(event)}`);
    say(this.label, event.label);
    say(this.source, event.source);
    say(this.time, begin.toLocaleTimeString(undefined, { timeStyle: "short" }));
    mark(this.time, "datetime", event.begin.time_utc);
    mark(this.time, "title", `${event.begin.time_utc} (UTC)`);
    this.chips.replaceChildren(...chips(event));
    const { withHeat } = this.wall;
    picture(this.shown, event, withHeat ? "heat" : "snapshot");
    if (this.other.hasAttribute("src")) this.peek();
  }

  /** Fetch the picture with heat, or the one without, which lies over the other while pointed at. */
  peek() {
    picture(this.other, this.event, this.wall.withHeat ? "snapshot" : "heat");
  }
}

function chips(event) {
  const { focus } = event;
  return [
    el("span", { class: "chip", title: "The detector's confidence, at best" }, percent(event.confidence)),
    el("span", { class: "chip", title: "The map's focus on the object, on average; 1 is chance" }, "lift", el("b", {}, lift(focus.lift_mean))),
    ...event.zones.map((zone) => el("span", { class: "chip zone-chip" }, zone)),
  ];
}

function picture(image, event, kind) {
  const file = event.files[kind];
  image.hidden = !file;
  // The best frame of an event that lasts may change.
  if (file) mark(image, "src", `${file}?width=${WIDTH}&frame=${event.best.frame}`);
}
