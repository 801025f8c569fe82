// Files of watched folders: their progress and results.

import { el, Keyed, mark, say } from "./dom.js";
import { VideoFootage } from "./footage.js";
import { moment, percent, span } from "./format.js";
import { Player } from "./player.js";
import { get } from "./server.js";

const ORDER = ["running", "ready", "found", "failed", "done", "skipped"];
const PERIOD = 2000; // ms between updates of the list

export class Files {
  /** The latest files, or those in one state. */
  constructor(limit = 200, state = null) {
    this.query = new URLSearchParams({ limit, ...(state ? { state } : {}) });
    this.state = state;
    this.asked = 0;
    this.counts = el("p", { class: "counts", id: "counts" });
    this.list = el("ul", { class: "files", id: "files" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.root = el(
      "section",
      { "aria-label": "Files" },
      el("header", { class: "head" }, el("h1", {}, "Files"), this.counts),
      this.list,
      this.empty,
    );
    this.cards = new Keyed(this.list, (number) => new Card(number));
    this.links = new Keyed(this.counts, (each) => countLink(each, each === state));
  }

  async update() {
    if (document.hidden || performance.now() - this.asked < PERIOD) return;
    this.asked = performance.now();
    try {
      this.show(await get(`/api/jobs?${this.query}`));
    } catch (error) {
      this.empty.hidden = false;
      say(this.empty, `The list cannot be read: ${error.message}`);
    }
  }

  show({ counts, jobs }) {
    this.links.update(ORDER.filter((state) => counts[state]).map((state) => [state, counts[state]]));
    this.cards.update(jobs.map((job) => [job.number, job]));
    this.empty.hidden = jobs.length > 0;
    say(this.empty, this.state ? `No file is ${this.state}.` : "What comes into the watched folders appears here.");
  }

  close() {}
}

/** Links with the number of files in each state; the selected one leads back to all. */
function countLink(state, here) {
  const href = here ? "#/files" : `#/files/${state}`;
  const root = el("a", { href, "aria-current": here ? "true" : null });
  return { root, update: (count) => say(root, `${count} ${state}`) };
}

class Card {
  constructor(number) {
    this.number = number;
    this.still = el("div", { class: "still" });
    this.name = el("h2", {});
    this.badge = el("span", { class: "badge" });
    this.line = el("p", { class: "quiet" });
    this.bar = el("progress", { max: 1, hidden: true });
    this.link = el("a", {}, this.still, this.name);
    this.root = el("li", { class: "file" }, this.link, this.badge, this.bar, this.line);
  }

  update(job) {
    mark(this.root, "data-state", job.state);
    mark(this.root, "title", job.path);
    mark(this.link, "href", `#/file/${job.number}`);
    say(this.name, job.name);
    say(this.badge, job.state);
    say(this.line, lineOf(job));
    this.line.classList.toggle("fault", job.state === "failed");
    this.bar.hidden = job.state !== "running";
    if (job.progress === null) this.bar.removeAttribute("value");
    else this.bar.value = job.progress;
    mark(this.bar, "aria-label", `${job.name}: done so far`);
    this.picture(job);
  }

  picture(job) {
    const source = job.files.picture ? `${job.files.picture}?${Date.parse(job.ended)}` : null;
    if (source === this.source) return;
    this.source = source;
    const image = source ? el("img", { src: source, alt: "", loading: "lazy", decoding: "async" }) : null;
    this.still.replaceChildren(...(image ? [image] : []));
  }
}

function lineOf(job) {
  if (job.state === "running")
    return job.progress === null ? `since ${moment(job.started)}` : percent(job.progress);
  if (job.error) {
    const error = job.error.replace(`${job.path}: `, "");
    return job.hint ? `${error}. ${job.hint}` : error;
  }
  return job.ended ? moment(job.ended) : `came ${moment(job.arrived)}`;
}

/** One file: its video and timeline, or its error. */
export class FileView {
  constructor(number) {
    this.number = number;
    this.asked = 0;
    this.ended = undefined;
    this.title = el("h1", {}, `File ${number}`);
    this.badge = el("span", { class: "badge" });
    this.path = el("p", { class: "quiet path" });
    this.body = el("div", {});
    this.root = el(
      "section",
      { class: "view", "aria-label": "File" },
      el("p", { class: "back" }, el("a", { href: "#/files" }, "← Files")),
      el("header", { class: "head" }, this.title, this.badge),
      this.path,
      this.body,
    );
    this.player = null;
  }

  async update() {
    if (performance.now() - this.asked < PERIOD) return;
    this.asked = performance.now();
    try {
      await this.show(await get(`/api/jobs/${this.number}`));
    } catch (error) {
      say(this.path, error.message);
    }
  }

  async show(job) {
    say(this.title, job.name);
    say(this.badge, job.progress === null ? job.state : `${job.state} ${percent(job.progress)}`);
    mark(this.root, "data-state", job.state);
    say(this.path, job.path);
    const version = `${job.state} ${job.ended}`;
    if (version === this.ended) return;
    this.ended = version;
    this.player?.close();
    this.player = null;
    this.body.replaceChildren(...(await this.parts(job)));
  }

  async parts(job) {
    if (job.state !== "done") {
      const text = job.error ? lineOf(job) : `This file is ${job.state}.`;
      return [el("p", { class: job.error ? "fault" : "quiet" }, text)];
    }
    const { video, picture } = job.files;
    const below = [await manifest(job.files.manifest), downloads(job.files)];
    if (video) {
      const timeline = `/api/jobs/${job.number}/timeline`;
      this.player = new Player(new VideoFootage(video, timeline, picture), ...below);
      return [this.player.root];
    }
    const still = picture ? el("img", { class: "only", src: picture, alt: `${job.name}, annotated` }) : "";
    return [el("div", { class: "beside" }, el("div", {}, still), el("div", { class: "side" }, ...below))];
  }

  close() {
    this.player?.close();
  }
}

export function downloads(files) {
  const links = Object.entries(files).map(([kind, url]) => el("a", { href: url, download: true }, kind));
  return el("p", { class: "links" }, "Download: ", ...links);
}

async function manifest(url) {
  const content = url ? await get(url).catch(() => null) : null;
  if (!content) return "";
  const { engine, counts, source } = content;
  const took = Date.parse(content.ended) - Date.parse(content.started);
  const dropped = Object.values(counts.dropped).reduce((sum, number) => sum + number, 0);
  return factList({
    Model: engine.model,
    Map: engine.method,
    Device: engine.device,
    Size: `${source.width} × ${source.height}`,
    Frames: `${counts.explained} explained of ${counts.decoded} decoded`,
    Lost: `${counts.corrupt} corrupt, ${dropped} dropped`,
    Found: Object.entries(counts.detections)
      .map(([label, number]) => `${label} ${number}`)
      .join(", ") || "nothing",
    Took: `${span(took / 1000)} for ${span(content.media_seconds)} of video`,
  });
}

/** A list of facts by name. */
export function factList(facts) {
  const pairs = Object.entries(facts).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value)),
  );
  return el("dl", { class: "list" }, ...pairs);
}
