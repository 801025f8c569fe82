// One event: its clip with the timeline, what is known of it in words, and whether it was a false
// alarm.

import { el, mark, say } from "./dom.js";
import { begun, clock, facts, suspicion } from "./event_words.js";
import { factList } from "./files.js";
import { VideoFootage } from "./footage.js";
import { Player } from "./player.js";
import { get, send } from "./server.js";

const PERIOD = 2000; // ms between looks at an event that is not over, or whose clip is not made yet

export class EventDialog {
  /** `wall` is the list around it: its `events`, `base`, `go` and `drop`. */
  constructor(wall) {
    this.wall = wall;
    this.id = null;
    this.event = null;
    this.player = null;
    this.asked = -Infinity;
    this.heading = el("h2", {});
    this.when = el("span", { class: "quiet" });
    this.newer = step("Newer", "Newer event (k)", () => this.step(-1));
    this.older = step("Older", "Older event (j)", () => this.step(1));
    this.body = el("div", {});
    this.reasons = el("p", { class: "suspicion" });
    this.facts = el("div", {});
    this.alarm = el("button", { type: "button", onclick: () => this.dismiss() });
    this.links = el("p", { class: "links" });
    this.recording = el("a", { class: "action" }, "In the recording");
    this.news = el("p", { class: "fault", role: "status" });
    this.about = [this.reasons, this.facts, el("div", { class: "tools" }, this.alarm, this.recording), this.news, this.links];
    const leave = el("button", { type: "button", class: "leave", "aria-label": "Close", onclick: () => this.root.close() }, "×");
    this.root = el(
      "dialog",
      { class: "event-dialog", "aria-label": "Event", onclose: () => this.left(), onclick: (event) => event.target === this.root && this.root.close(), onkeydown: (event) => this.key(event) },
      el("header", { class: "head" }, this.heading, this.when, el("span", { class: "steps" }, this.newer, this.older, leave)),
      this.body,
    );
  }

  async open(id) {
    if (id === this.id) return;
    this.id = id;
    this.shape = null;
    this.show(this.wall.events.find((event) => event.id === id) ?? null);
    if (!this.root.open) this.root.showModal();
    await this.refresh();
  }

  close() {
    this.id = this.event = null;
    this.stop();
    if (this.root.open) this.root.close();
  }

  /** It was closed by its user: back to the list. */
  left() {
    if (this.id !== null) this.wall.go(this.wall.base);
  }

  /** Take what the list has learnt of the event. */
  know(events) {
    const known = this.event && events.find(({ id }) => id === this.id);
    if (known) this.show(known);
    else this.steps();
  }

  update() {
    const { event } = this;
    const waits = event && (!event.end || event.clip === "pending");
    if (this.id === null || !waits || performance.now() - this.asked < PERIOD) return;
    this.refresh();
  }

  async refresh() {
    const { id } = this;
    this.asked = performance.now();
    try {
      const event = await get(`/api/events/${encodeURIComponent(id)}`);
      if (id === this.id) this.show(event);
    } catch (error) {
      if (id === this.id && !this.event) this.fail(error);
    }
  }

  fail(error) {
    say(this.heading, "Event");
    this.body.replaceChildren(el("p", { class: "empty" }, `This event cannot be shown: ${error.message}.`));
    this.steps();
  }

  show(event) {
    this.event = event;
    this.steps();
    if (!event) return;
    say(this.heading, event.label);
    say(this.when, `${event.source} · ${clock(begun(event))}`);
    mark(this.when, "title", `${event.begin.time_utc} (UTC)`);
    say(this.reasons, suspicion(event));
    this.facts.replaceChildren(factList(facts(event)));
    say(this.alarm, event.dismissed ? "No false alarm" : "False alarm");
    this.alarm.title = event.dismissed ? "Back into the list" : "Out of the list";
    this.links.replaceChildren(...links(event));
    mark(this.recording, "href", recordingAddress(event));
    say(this.news, "");
    this.showPicture(event);
  }

  /** The clip in the player; until there is one, the best frame. */
  showPicture(event) {
    const { clip, heat, snapshot } = event.files;
    const shape = `${event.id} ${clip ?? ""} ${heat ?? snapshot ?? ""}`;
    if (shape === this.shape) {
      if (!clip) this.showFrame(event);
      return;
    }
    this.shape = shape;
    this.stop();
    if (clip) {
      const timeline = `/api/events/${encodeURIComponent(event.id)}/timeline`;
      this.player = new Player(new VideoFootage(clip, timeline, heat), ...this.about);
      this.body.replaceChildren(this.player.root);
      this.player.video.focus({ preventScroll: true });
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.player.play();
      return;
    }
    this.best = el("img", { alt: `${event.label}, annotated` });
    this.caption = el("figcaption", {});
    const figure = el("figure", { class: "best" }, this.best, this.caption);
    this.body.replaceChildren(el("div", { class: "beside" }, figure, el("div", { class: "side" }, ...this.about)));
    this.showFrame(event);
  }

  /** The best frame, which may change while the event lasts, and why there is no clip. */
  showFrame(event) {
    const file = event.files.heat ?? event.files.snapshot;
    this.best.hidden = !file;
    if (file) mark(this.best, "src", `${file}?frame=${event.best.frame}`);
    say(this.caption, clipWords(event));
  }

  stop() {
    this.player?.close();
    this.player = null;
  }

  // The one before, and the one after

  steps() {
    const at = this.wall.events.findIndex(({ id }) => id === this.id);
    this.newer.disabled = at < 1;
    this.older.disabled = at < 0 || at + 1 >= this.wall.events.length;
  }

  step(by) {
    const { events } = this.wall;
    const next = events[events.findIndex(({ id }) => id === this.id) + by];
    if (next) this.wall.go(`#/event/${encodeURIComponent(next.id)}`);
  }

  key(event) {
    // The keys of the page behind it do not count.
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" && !this.older.disabled) this.step(1);
    if (event.key === "k" && !this.newer.disabled) this.step(-1);
  }

  async dismiss() {
    const { id, dismissed } = this.event;
    try {
      await send("POST", `/api/events/${encodeURIComponent(id)}/${dismissed ? "restore" : "dismiss"}`);
      const { events } = this.wall;
      const at = events.findIndex((event) => event.id === id);
      const next = events[at + 1] ?? events[at - 1];
      this.wall.drop(id);
      this.wall.go(next ? `#/event/${encodeURIComponent(next.id)}` : this.wall.base);
    } catch (error) {
      say(this.news, error.message);
    }
  }
}

function clipWords(event) {
  if (event.clip === "none") return `There is no clip: ${event.clip_note ?? "nothing was recorded"}.`;
  if (!event.end) return "It lasts; its clip is cut when it is over.";
  return event.clip === "pending" ? "Its clip is cut as soon as its recording is complete." : "Its clip is gone.";
}

/** The camera's recording at the moment when the event begins. */
function recordingAddress(event) {
  const moment = event.begin.time_utc.slice(0, 19).replaceAll(/[-:]/g, "");
  return `#/camera/${encodeURIComponent(event.source)}/${moment}`;
}

function links(event) {
  const names = { clip: "clip", heat: "picture with heat", snapshot: "picture" };
  const there = Object.entries(names).filter(([kind]) => event.files[kind]);
  if (!there.length) return [];
  const files = there.map(([kind, name]) => el("a", { href: event.files[kind], download: true }, name));
  return ["Download: ", ...files];
}

function step(text, hint, onclick) {
  return el("button", { type: "button", title: hint, onclick }, text);
}
