// Annotated videos and their timeline: those of a footage, one after the other. Keys while the
// focus is in it: space plays and pauses, arrows seek by five seconds, with shift by one, comma and
// point by one step, Home and End to the ends, Page Up and Down by a tenth of what is shown, plus and
// minus zoom, 0 shows all.

import { Controls, help, inWords } from "./controls.js";
import { el, say } from "./dom.js";
import { covers, Timeline, valuesAt } from "./timeline.js";

const LONG = 5; // s, as in other players
const SHORT = 1;
const SETTLE = 250; // ms without a change of the view until finer data is fetched

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
    this.video = videoOf(footage);
    this.last = el("canvas", { "aria-hidden": "true" });
    this.note = el("p", { class: "note" }, "Reading the records…");
    this.timeline = new Timeline(footage.axis);
    this.controls = new Controls(this);
    this.side = el("div", { class: "side" }, ...beside);
    const under = el("div", { class: "under" }, this.controls.root, this.timeline.root, help());
    this.root = el(
      "div",
      { class: "player", role: "group", "aria-label": "Player" },
      el("div", { class: "film" }, this.last, this.video, this.note),
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
      this.controls.read("", "", `No timeline: ${error.message}.`);
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
    this.keepPicture();
    this.video.src = segment.video;
    if (playing) this.play();
    this.fetchExact(segment);
    this.dispatchEvent(new CustomEvent("segment", { detail: { segment } }));
  }

  /** Keep the picture in sight until the next video has one, so that it does not flash. */
  keepPicture() {
    this.last.width = this.video.videoWidth;
    this.last.height = this.video.videoHeight;
    if (this.video.readyState >= 2) this.last.getContext("2d").drawImage(this.video, 0, 0);
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
    this.controls.showPlaying(this.playing);
  }

  pause() {
    this.playing = false;
    this.video.pause();
    this.controls.showPlaying(this.playing);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Go on with the next segment; where there will be none, stop. */
  next() {
    const next = this.segment && this.footage.after(this.segment);
    if (next) this.seek(next.begin);
    else if (!this.footage.grows) this.pause();
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
      "+": () => timeline.zoomIn(),
      "=": () => timeline.zoomIn(),
      "-": () => timeline.zoomOut(),
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
    if (!footage.nativeControls) video.addEventListener("click", () => this.toggle());
    footage.addEventListener("change", () => {
      timeline.show(footage);
      this.moved();
      if (this.playing && video.ended) this.next();
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
      this.moved();
    }, SETTLE);
  }

  moved(jump = false) {
    this.timeline.moveTo(this.time, jump);
    this.read(this.timeline.pointed ?? this.time);
  }

  /** Describe in words what the timeline shows at a moment. */
  read(seconds) {
    const { axis } = this.footage;
    const words = this.wordsFor(seconds);
    this.controls.read(axis.text(seconds, true), axis.title(seconds), words);
    if (seconds === this.time) this.timeline.tell(`${axis.text(seconds)}: ${words}`);
  }

  wordsFor(seconds) {
    if (seconds < this.footage.known) return "not read yet";
    if (this.footage.isGap(seconds)) return "not recorded";
    return inWords(valuesAt(this.dataAt(seconds), seconds));
  }

  tell(text) {
    say(this.note, text);
  }

  setSpeed(speed) {
    // The default too: it is what the next segment begins with.
    this.video.defaultPlaybackRate = speed;
    this.video.playbackRate = speed;
  }
}

function videoOf({ poster, nativeControls }) {
  return el("video", {
    poster,
    controls: nativeControls,
    playsinline: true,
    preload: "auto",
    tabindex: 0,
    "aria-label": "Annotated video",
  });
}
