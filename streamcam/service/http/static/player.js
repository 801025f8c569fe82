// Annotated videos and their timeline: those of a footage, one after the other. Keys while the
// focus is in it: space plays and pauses, arrows seek by five seconds, with shift by one, comma and
// point by one step, Home and End to the ends, Page Up and Down by a tenth of what is shown, plus and
// minus zoom, 0 shows all.

import { el, mark, say } from "./dom.js";
import { lift } from "./format.js";
import { covers, Timeline, valuesAt } from "./timeline.js";

const LONG = 5; // s, as in other players
const SHORT = 1;
const ZOOM = 0.5;
const SETTLE = 250; // ms without a change of the view until finer data is fetched
const SPEEDS = [0.5, 1, 2, 4, 8];

export class Player extends EventTarget {
  /**
   * Dispatches "segment" with {segment} when another one is shown.
   * @param footage what is played: a VideoFootage or a RecordedFootage
   * @param beside elements at the video's side
   */
  constructor(footage, ...beside) {
    super();
    this.footage = footage;
    this.segment = null;
    this.exact = null;
    this.wanted = null; // where to go as soon as the browser has loaded what it is loading
    this.playing = false;
    this.video = this.makeVideo();
    this.note = el("p", { class: "note" }, "Reading the records…");
    this.reading = el("p", { class: "reading", id: "reading" }, el("b", {}, ""), " ", el("span", {}, ""));
    this.timeline = new Timeline(footage.axis);
    this.side = el("div", { class: "side" }, ...beside);
    const under = el("div", { class: "under" }, this.makeControls(), this.timeline.root, help());
    this.root = el(
      "div",
      { class: "player", role: "group", "aria-label": "Player" },
      el("div", { class: "film" }, this.video, this.note),
      this.side,
      under,
    );
    this.listen();
    if (footage.segments.length) this.open(footage.segments[0]);
    this.load();
  }

  async load() {
    try {
      await this.footage.load();
      this.tell(this.footage.segments.length ? "" : "Nothing was recorded.");
    } catch (error) {
      say(this.reading.lastChild, `No timeline: ${error.message}.`);
      this.tell("");
    }
  }

  close() {
    this.footage.close?.();
    clearTimeout(this.settling);
    this.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.timeline.close();
  }

  /** The moment that is shown, or soon will be. */
  get time() {
    if (this.wanted) return this.wanted.time;
    return this.segment ? this.segment.begin + this.video.currentTime : this.footage.begin;
  }

  /** Go to a moment; from a gap on to what was recorded after it, or `back` to what was before. */
  seek(seconds, back = false) {
    const { begin, end } = this.footage;
    this.wanted = this.footage.place(Math.min(Math.max(seconds, begin), end), back);
    if (!this.wanted) return;
    const loading = this.segment && this.video.readyState === 0 && !this.video.error;
    if (this.wanted.segment === this.segment || !loading) this.go();
    this.moved(true);
  }

  go() {
    if (!this.wanted) return;
    const { segment, time } = this.wanted;
    this.wanted = null;
    if (segment !== this.segment) this.open(segment);
    this.video.currentTime = time - segment.begin;
  }

  open(segment) {
    const { playing } = this;
    this.segment = segment;
    this.tell("");
    this.video.src = segment.video;
    if (playing) this.play();
    this.fetchExact(segment);
    this.dispatchEvent(new CustomEvent("segment", { detail: { segment } }));
  }

  /** Fetch what was found in a segment frame by frame. */
  async fetchExact(segment) {
    this.exact = null;
    const exact = await this.footage.exact(segment).catch(() => null);
    if (segment !== this.segment) return;
    this.exact = exact;
    this.moved();
  }

  /** The most detailed data of a moment. */
  dataAt(seconds) {
    const { exact, timeline } = this;
    return exact && covers(exact, seconds) ? exact : timeline.dataAt(seconds);
  }

  play() {
    this.playing = true;
    this.video.play().catch(() => {});
    this.showState();
  }

  pause() {
    this.playing = false;
    this.video.pause();
    this.showState();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Go on with the next segment; where there is none, stop. */
  next() {
    const next = this.segment && this.footage.after(this.segment);
    if (next) this.seek(next.begin);
    else this.pause();
  }

  failed() {
    if (!this.segment) return;
    this.tell("This stretch cannot be played.");
    if (this.wanted) this.go();
    else if (this.playing) this.next();
  }

  /** Where a step of the timeline leads from a moment. */
  stepFrom(seconds, number) {
    return seconds + number * Math.min(1, this.dataAt(seconds).step);
  }

  key(event) {
    const { time: now, timeline, footage } = this;
    const step = event.shiftKey ? SHORT : LONG;
    const moves = {
      ArrowLeft: () => this.seek(now - step, true),
      ArrowRight: () => this.seek(now + step),
      ",": () => this.seek(this.stepFrom(now, -1), true),
      ".": () => this.seek(this.stepFrom(now, 1)),
      Home: () => this.seek(footage.begin),
      End: () => this.seek(footage.end),
      PageUp: () => this.seek(now - timeline.span / 10, true),
      PageDown: () => this.seek(now + timeline.span / 10),
      "+": () => timeline.zoom(ZOOM),
      "=": () => timeline.zoom(ZOOM),
      "-": () => timeline.zoom(1 / ZOOM),
      0: () => timeline.showWhole(),
      " ": () => this.toggle(),
    };
    const move = moves[event.key];
    const own = event.target.closest("select") || (event.key === " " && event.target.closest("button"));
    if (!move || own || this.side.contains(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // The browser's player must not handle the key a second time.
    event.preventDefault();
    event.stopPropagation();
    move();
  }

  listen() {
    const { video, footage, timeline } = this;
    this.root.addEventListener("keydown", (event) => this.key(event), { capture: true });
    for (const name of ["timeupdate", "seeking"]) video.addEventListener(name, () => this.moved());
    video.addEventListener("loadedmetadata", () => {
      footage.lengthen?.(video.duration);
      this.go();
    });
    video.addEventListener("ended", () => this.next());
    video.addEventListener("error", () => this.failed());
    video.addEventListener("play", () => this.play());
    video.addEventListener("pause", () => {
      if (!video.ended) this.pause();
    });
    if (!footage.controls) video.addEventListener("click", () => this.toggle());
    footage.addEventListener("change", () => {
      timeline.show(footage);
      this.moved();
    });
    timeline.addEventListener("seek", (event) => this.seek(event.detail.time));
    timeline.addEventListener("point", (event) => this.read(event.detail.time ?? this.time));
    timeline.addEventListener("view", () => this.settle());
  }

  /** Fetch finer data when the view no longer changes. */
  settle() {
    clearTimeout(this.settling);
    const { from, to } = this.timeline.view;
    if (!this.timeline.isCoarse()) return;
    this.settling = setTimeout(async () => {
      const data = await this.footage.detail(from, to).catch(() => null);
      if (!data) return;
      this.timeline.refine(data);
      this.read(this.timeline.pointed ?? this.time);
    }, SETTLE);
  }

  moved(jump = false) {
    this.timeline.moveTo(this.time, jump);
    if (this.timeline.pointed === null) this.read(this.time);
  }

  /** Describe in words what the timeline shows at a moment. */
  read(seconds) {
    const { axis } = this.footage;
    const text = this.footage.isGap(seconds) ? "not recorded" : wordsFor(valuesAt(this.dataAt(seconds), seconds));
    say(this.reading.firstChild, axis.text(seconds, true));
    say(this.reading.lastChild, text);
    mark(this.reading, "title", axis.title(seconds));
    if (seconds === this.time) this.timeline.tell(`${axis.text(seconds)}: ${text}`);
  }

  tell(text) {
    say(this.note, text);
  }

  showState() {
    const word = this.playing ? "Pause" : "Play";
    mark(this.playButton, "aria-label", word);
    mark(this.playButton, "title", `${word} (space)`);
    this.playButton.classList.toggle("playing", this.playing);
  }

  makeVideo() {
    return el("video", {
      poster: this.footage.poster,
      controls: this.footage.controls,
      playsinline: true,
      preload: "auto",
      tabindex: 0,
      "aria-label": "Annotated video",
    });
  }

  makeControls() {
    const button = (name, title, text, act) =>
      el("button", { type: "button", "aria-label": name, title, onclick: act }, text);
    this.playButton = button("Play", "Play (space)", "", () => this.toggle());
    this.playButton.classList.add("play");
    const speeds = el(
      "select",
      { "aria-label": "Speed", title: "Speed", onchange: () => this.setSpeed(Number(speeds.value)) },
      ...SPEEDS.map((speed) => el("option", { value: speed, selected: speed === 1 }, `${speed}×`)),
    );
    const { timeline } = this;
    const full = button("Full screen", "Only the picture, on the whole screen", "", () => this.video.requestFullscreen());
    full.classList.add("full-screen");
    return el(
      "div",
      { class: "controls" },
      this.playButton,
      this.reading,
      speeds,
      button("Zoom out", "Zoom out (-)", "−", () => timeline.zoom(1 / ZOOM)),
      button("Zoom in", "Zoom in (+)", "+", () => timeline.zoom(ZOOM)),
      button("Show all", "Show all (0)", "All", () => timeline.showWhole()),
      this.footage.controls ? null : full,
    );
  }

  setSpeed(speed) {
    // The default too: it is what the next segment begins with.
    this.video.defaultPlaybackRate = speed;
    this.video.playbackRate = speed;
  }
}

function wordsFor({ classes, frames, flicker }) {
  const parts = classes.map(({ label, count, lift: value }) => `${label} ${count} (lift ${lift(value)})`);
  const text = parts.join(", ") || (frames ? "nothing found" : "not explained");
  return flicker === null ? text : `${text} · flicker ${flicker.toFixed(3)}`;
}

function help() {
  const key = (name) => el("kbd", {}, name);
  return el(
    "p",
    { class: "quiet help" },
    "A bar has the colour of the boxes: the taller, the better focused, from lift 1 (chance) to 8; the paler, the fewer at once. ",
    ...[key("space"), " plays, ", key("←"), key("→"), " 5 s, with ", key("shift"), " 1 s, "],
    ...[key(","), key("."), " one step, ", key("+"), key("−"), ", the wheel or two fingers zoom, ", key("0"), " shows all."],
  );
}
