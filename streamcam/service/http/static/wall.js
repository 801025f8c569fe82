// The wall: a tile for every camera, of the maximum equal size.

import { el, Keyed, mark, say } from "./dom.js";
import { lift, milliseconds } from "./format.js";
import { byLabel, judge } from "./state.js";

const LEAST_WIDTH = 280; // px of a tile; below it the labels in the picture cannot be read
const SHAPE = 16 / 9;
const CAPTION = 62; // px of a tile's text

export class Wall {
  constructor(server, pictures) {
    this.server = server;
    this.grid = el("div", { class: "wall", id: "wall" });
    this.empty = el("p", { class: "empty", hidden: true }, "No cameras are set up.");
    this.root = el("section", { "aria-label": "Cameras" }, this.grid, this.empty);
    this.tiles = new Keyed(this.grid, (name) => new Tile(name, server, pictures));
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.grid);
  }

  update() {
    const { cameras } = this.server.status;
    this.tiles.update(cameras.map((camera) => [camera.name, camera]));
    this.empty.hidden = cameras.length > 0;
    this.fit();
  }

  close() {
    this.resized.disconnect();
    this.tiles.clear();
  }

  /** Choose the columns that make the tiles largest without scrolling, where that is readable. */
  fit() {
    const count = this.tiles.items.size;
    const full = document.body.classList.contains("full");
    const width = this.grid.clientWidth;
    const height = full ? innerHeight : innerHeight * 0.82;
    const most = Math.max(1, Math.floor(width / (full ? 1 : LEAST_WIDTH)));
    let best = { columns: 1, size: 0 };
    for (let columns = 1; columns <= Math.min(count, most); columns += 1) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns, (height / rows - (full ? 0 : CAPTION)) * SHAPE);
      if (size >= best.size) best = { columns, size };
    }
    const readable = full || best.size >= LEAST_WIDTH;
    const columns = readable ? best.columns : Math.min(count, most);
    this.grid.style.setProperty("--columns", columns);
    this.grid.style.setProperty("--rows", Math.ceil(count / Math.max(1, columns)));
    // A single camera is not blown up beyond the height of the window.
    this.grid.style.setProperty("--most", readable && !full ? `${Math.floor(best.size)}px` : "none");
  }
}

class Tile {
  constructor(name, server, pictures) {
    this.name = name;
    this.server = server;
    this.pictures = pictures;
    this.canvas = el("canvas", { width: 640, height: 360, role: "img" });
    this.note = el("p", { class: "note" });
    this.badge = el("span", { class: "badge" });
    this.numbers = el("span", { class: "numbers" });
    this.found = el("p", { class: "found" });
    this.link = el(
      "a",
      { href: `#/camera/${encodeURIComponent(name)}`, class: "screen" },
      this.canvas,
      this.note,
    );
    this.root = el(
      "article",
      { class: "tile", "aria-label": name, "data-camera": name },
      this.link,
      el("header", {}, el("h2", {}, name), this.badge, this.numbers),
      this.found,
    );
    pictures.add(name, this.canvas);
  }

  update(camera) {
    const { look, word, note } = judge(camera, this.pictures.age(this.name), this.server);
    mark(this.root, "data-look", look);
    mark(this.canvas, "aria-label", `${camera.name}, ${word}. ${summary(camera)}`);
    say(this.badge, word);
    say(this.note, note);
    say(this.numbers, look === "live" ? rates(camera) : "");
    this.tell(look === "live" || look === "waiting" ? null : camera.error, camera);
  }

  tell(error, camera) {
    mark(this.found, "class", error ? "found fault" : "found");
    if (error) say(this.found, camera.hint ? `${error}. ${camera.hint}` : error);
    else this.found.replaceChildren(...chips(camera));
  }

  remove() {
    this.pictures.remove(this.name);
  }
}

function rates(camera) {
  const latency = camera.latency ? ` · ${milliseconds(camera.latency.p50)}` : "";
  return `${camera.explained_rate.toFixed(1)} fps${latency}`;
}

function summary(camera) {
  const groups = byLabel(camera.latest?.record.detections ?? []);
  return groups.map(({ label, count }) => `${count} ${label}`).join(", ") || "Nothing found.";
}

function chips(camera) {
  const groups = byLabel(camera.latest?.record.detections ?? []);
  if (!groups.length) return [el("span", { class: "quiet" }, "nothing found")];
  return groups.map(({ label, count, lift: value }) =>
    el(
      "span",
      { class: "chip", title: `${count} ${label}, mean focus lift ${lift(value)}` },
      count > 1 ? `${label} ×${count}` : label,
      el("b", {}, lift(value)),
    ),
  );
}
