// A heatmap video and its timeline. Keys while the focus is inside: space plays and pauses, arrows
// seek by five seconds, with shift by one, comma and point by one bucket, Home and End to the ends.

import { el, say } from "./dom.js";
import { lift, position } from "./format.js";
import { get } from "./server.js";
import { TimelineChart } from "./timeline.js";

const LONG = 5; // s, as in other players
const SHORT = 1;

export class Player {
  /** `video` and `timeline` are addresses, `poster` one or null; `below` goes under the timeline. */
  constructor(video, timeline, poster, ...below) {
    this.video = el("video", {
      src: video,
      poster,
      controls: true,
      playsinline: true,
      preload: "metadata",
      tabindex: 0,
      "aria-label": "Annotated video",
    });
    this.reading = el("p", { class: "reading", id: "reading" }, "Reading the records…");
    this.chartPlace = el("div", {});
    const chart = el("div", { class: "under" }, this.reading, this.chartPlace, help());
    this.side = el("div", { class: "side" }, chart, ...below);
    this.root = el(
      "div",
      { class: "player", role: "group", "aria-label": "Player" },
      this.video,
      this.side,
    );
    this.root.addEventListener("keydown", (event) => this.key(event), { capture: true });
    this.video.addEventListener("timeupdate", () => this.moved());
    this.video.addEventListener("seeking", () => this.moved());
    this.video.addEventListener("loadedmetadata", () => this.moved());
    this.chart = null;
    this.load(timeline);
  }

  async load(url) {
    try {
      const data = await get(url);
      this.chart = new TimelineChart(data, (seconds) => this.seek(seconds));
      this.chart.addEventListener("point", (event) => this.read(event.detail));
      this.chartPlace.replaceWith(this.chart.root);
      this.moved();
    } catch (error) {
      say(this.reading, `No timeline: ${error.message}.`);
    }
  }

  seek(seconds) {
    const end = Number.isFinite(this.video.duration) ? this.video.duration : seconds;
    this.video.currentTime = Math.min(Math.max(0, seconds), end);
  }

  key(event) {
    const step = event.shiftKey ? SHORT : LONG;
    const now = this.video.currentTime;
    const bucket = this.chart?.data.step ?? 0.2;
    const moves = {
      ArrowLeft: () => this.seek(now - step),
      ArrowRight: () => this.seek(now + step),
      ",": () => this.seek(now - bucket),
      ".": () => this.seek(now + bucket),
      Home: () => this.seek(0),
      End: () => this.seek(this.video.duration),
      " ": () => this.toggle(),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    // The browser's player must not handle the key a second time.
    event.preventDefault();
    event.stopPropagation();
    move();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  moved() {
    this.chart?.moveTo(this.video.currentTime, this.video.duration);
    if (this.chart && !this.chart.pointed) this.read(this.video.currentTime);
  }

  /** Describe in words what the chart shows at a moment. */
  read(seconds) {
    const found = this.chart.at(seconds);
    const parts = found.classes.map(
      ({ label, count, lift: value }) => `${label} ${count} (lift ${lift(value)})`,
    );
    const text = parts.join(", ") || (found.frames ? "nothing found" : "not explained");
    const flicker = found.flicker === null ? "" : ` · flicker ${found.flicker.toFixed(3)}`;
    say(this.reading, `${position(seconds, true)}  ${text}${flicker}`);
    this.chart.tell(`${position(seconds)}: ${text}`);
  }

  close() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.chart?.close();
  }
}

function help() {
  const key = (name) => el("kbd", {}, name);
  return el(
    "p",
    { class: "quiet help" },
    "Bars: the most at once; colour: focus lift ",
    el("span", { class: "scale", "aria-hidden": "true" }),
    " from 1 (chance) to 8. ",
    ...[key("space"), " plays, ", key("←"), key("→"), " 5 s, with ", key("shift"), " 1 s, "],
    ...[key(","), key("."), " one step."],
  );
}
