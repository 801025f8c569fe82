// The row between a player's picture and its timeline: play, what was found at a moment in words,
// speed, zoom; and the explanation below.

import { el, mark, say } from "./dom.js";
import { lift } from "./format.js";

const SPEEDS = [0.5, 1, 2, 4, 8];

export class Controls {
  constructor(player) {
    this.player = player;
    const { video, timeline, footage } = player;
    this.playButton = button("Play", "space", "", () => player.toggle());
    this.playButton.classList.add("play");
    this.moment = el("b", {});
    this.words = el("span", {});
    this.reading = el("p", { class: "reading", id: "reading" }, this.moment, " ", this.words);
    const full = button("Full screen", null, "", () => video.requestFullscreen());
    full.classList.add("full-screen");
    this.root = el(
      "div",
      { class: "controls" },
      this.playButton,
      this.reading,
      this.speeds(),
      button("Zoom out", "-", "−", () => timeline.zoomOut()),
      button("Zoom in", "+", "+", () => timeline.zoomIn()),
      button("Show all", "0", "All", () => timeline.showWhole()),
      footage.nativeControls ? null : full,
    );
  }

  speeds() {
    const options = SPEEDS.map((speed) => el("option", { value: speed, selected: speed === 1 }, `${speed}×`));
    const choose = () => this.player.setSpeed(Number(select.value));
    const select = el("select", { "aria-label": "Speed", title: "Speed", onchange: choose }, ...options);
    return select;
  }

  showPlaying(playing) {
    const word = playing ? "Pause" : "Play";
    mark(this.playButton, "aria-label", word);
    mark(this.playButton, "title", `${word} (space)`);
    this.playButton.classList.toggle("playing", playing);
  }

  /** Show a moment, and the words on it. */
  read(moment, title, words) {
    say(this.moment, moment);
    say(this.words, words);
    mark(this.reading, "title", title);
  }
}

function button(name, key, text, act) {
  const title = key ? `${name} (${key})` : name;
  return el("button", { type: "button", "aria-label": name, title, onclick: act }, text);
}

/** What a timeline says of a moment, in words. */
export function inWords({ classes, frames, flicker }) {
  const parts = classes.map(({ label, count, lift: value }) => `${label} ${count} (lift ${lift(value)})`);
  const text = parts.join(", ") || (frames ? "nothing found" : "not explained");
  return flicker === null ? text : `${text} · flicker ${flicker.toFixed(3)}`;
}

export function help() {
  const key = (name) => el("kbd", {}, name);
  return el(
    "p",
    { class: "quiet help" },
    "A bar has the colour of the boxes: the taller, the better focused, from lift 1 (chance) to 8; the paler, the fewer at once. ",
    ...[key("space"), " plays, ", key("←"), key("→"), " 5 s, with ", key("shift"), " 1 s, "],
    ...[key(","), key("."), " one step, ", key("+"), key("−"), ", the wheel or two fingers zoom, ", key("0"), " shows all."],
  );
}
