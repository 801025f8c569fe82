// A camera's zones, lines and ignore regions: drawn on its picture, saved in the configuration
// file. What would change there is shown before it is saved.

import { el, Keyed, mark, say } from "./dom.js";
import { Drawing } from "./drawing.js";
import { get, send } from "./server.js";
import { KINDS, regionsOf, shapesOf, title } from "./shapes.js";
import { judge } from "./state.js";

const PERIOD = 500; // ms between questions whether the service has taken a change over
const PATIENCE = 20; // such questions

// Changes that are not saved yet, by camera: they stay while the page is open.
const unsaved = new Map();
addEventListener("beforeunload", (event) => unsaved.size && event.preventDefault());

export class ZoneEditor {
  constructor(server, pictures, name) {
    this.server = server;
    this.pictures = pictures;
    this.name = name;
    this.url = `/api/cameras/${encodeURIComponent(name)}/regions`;
    this.saved = null; // the shapes in the file, as JSON
    this.past = [];
    this.closing = new AbortController();
    this.drawing = new Drawing();
    this.canvas = el("canvas", { width: 1280, height: 720, role: "img" });
    this.note = el("p", { class: "note" });
    this.badge = el("span", { class: "badge" });
    this.obstacle = el("p", { class: "obstacle", hidden: true });
    this.hint = el("p", { class: "quiet hint", role: "status" });
    this.news = el("p", { class: "news", role: "status" });
    this.list = el("ul", { class: "shapes" });
    this.rows = new Keyed(this.list, (key) => new ShapeRow(this.drawing, ...key.split(" ")));
    this.empty = el("p", { class: "quiet" }, "No zones, lines or ignore regions.");
    this.tools = el("div", { class: "tools", role: "toolbar", "aria-label": "Draw" });
    this.review = button("Review changes…", () => this.preview(), "primary");
    this.discard = button("Discard", () => this.reset());
    this.dialog = new DiffDialog(() => this.save());
    this.stage = el("div", { class: "screen drawing-area" }, this.canvas, this.note, this.drawing.root);
    this.root = el(
      "section",
      { class: "view zones", "aria-label": `Zones of ${name}`, "data-camera": name },
      el("p", { class: "back" }, el("a", { href: `#/camera/${encodeURIComponent(name)}` }, `← ${name}`)),
      el("header", { class: "head" }, el("h1", {}, "Zones"), el("span", { class: "quiet" }, name), this.badge),
      this.obstacle,
      el(
        "div",
        { class: "beside" },
        this.stage,
        el(
          "div",
          { class: "side" },
          this.tools,
          this.hint,
          this.empty,
          this.list,
          el("div", { class: "tools" }, this.review, this.discard),
          this.news,
        ),
      ),
      this.dialog.root,
    );
    this.listen();
    pictures.add(name, this.canvas);
    this.load();
  }

  listen() {
    const { drawing } = this;
    drawing.addEventListener("gesture", () => this.past.push(JSON.stringify(drawing.shapes)));
    drawing.addEventListener("change", () => this.changed());
    drawing.addEventListener("select", () => this.tell());
    drawing.addEventListener("mode", () => this.tell());
    document.addEventListener("keydown", (event) => this.key(event), { signal: this.closing.signal });
  }

  key(event) {
    const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
    if (!undoes || event.target.closest("input")) return;
    event.preventDefault();
    this.undo();
  }

  async load() {
    try {
      const regions = await get(this.url);
      this.saved = JSON.stringify(shapesOf(regions));
      this.show(regions.obstacle);
    } catch (error) {
      this.show(`The zones cannot be read: ${error.message}`);
    }
  }

  show(obstacle) {
    this.drawing.fixed = obstacle !== null;
    this.obstacle.hidden = obstacle === null;
    say(this.obstacle, obstacle ? `Zones cannot be changed here: ${obstacle}` : "");
    this.drawing.show(JSON.parse(unsaved.get(this.name) ?? this.saved ?? "[]"));
    this.changed();
  }

  changed() {
    const now = JSON.stringify(this.drawing.shapes);
    if (now === this.saved || this.drawing.fixed) unsaved.delete(this.name);
    else unsaved.set(this.name, now);
    say(this.news, "");
    this.tell();
  }

  reset() {
    this.past.push(JSON.stringify(this.drawing.shapes));
    this.drawing.change(JSON.parse(this.saved));
  }

  undo() {
    const now = JSON.stringify(this.drawing.shapes);
    while (this.past.length) {
      const before = this.past.pop();
      if (before === now) continue;
      this.drawing.change(JSON.parse(before));
      return;
    }
  }

  /** Everything around the drawing. */
  tell() {
    const { drawing } = this;
    const dirty = unsaved.has(this.name);
    this.tools.hidden = drawing.fixed;
    for (const each of [this.review, this.discard]) {
      each.hidden = drawing.fixed;
      each.disabled = !dirty || drawing.draft !== null;
    }
    const words = drawing.draft ? this.drawTools() : this.editTools();
    say(this.hint, drawing.fixed ? "" : words);
    const shown = drawing.shapes.map((shape, index) => [`${index} ${shape.kind}`, shape]);
    this.rows.update(shown);
    this.empty.hidden = shown.length > 0;
  }

  editTools() {
    const adds = Object.entries(KINDS).map(([kind, { word }]) =>
      button(`+ ${word}`, () => this.drawing.begin(kind), `kind ${kind}`),
    );
    const undo = button("Undo", () => this.undo());
    undo.disabled = !this.past.length;
    keepFocus(this.tools, [...adds, undo]);
    if (this.drawing.selected === null) return "Choose a shape to change it, or draw a new one.";
    return "Drag points, edges' small dots make new ones. Keys: arrows move, Delete removes, + adds a point.";
  }

  drawTools() {
    const { kind, points } = this.drawing.draft;
    const finish = button("Finish", () => this.drawing.finish(), "primary");
    finish.disabled = !this.drawing.finishable;
    keepFocus(this.tools, [finish, button("Cancel", () => this.drawing.cancel())]);
    if (kind === "line") return `Put the line's ${points.length ? "second" : "first"} end. Keys: arrows, space.`;
    const { word } = KINDS[kind];
    return this.drawing.finishable
      ? "Go on, or click the first point or press Enter to finish."
      : `${word}: put its corners around the area. Keys: arrows, space.`;
  }

  async preview() {
    try {
      const { revision, diff } = await send("POST", `${this.url}/diff`, this.regions);
      this.revision = revision;
      this.dialog.show(diff);
    } catch (error) {
      this.fail(error);
    }
  }

  async save() {
    try {
      await send("PUT", this.url, { ...this.regions, revision: this.revision });
      this.saved = JSON.stringify(this.drawing.shapes);
      this.changed();
      await this.untilInForce();
    } catch (error) {
      this.fail(error);
    }
  }

  get regions() {
    return regionsOf(this.drawing.shapes);
  }

  fail(error) {
    mark(this.news, "class", "news fault");
    say(this.news, error.message);
  }

  /** Tell when the running service has the saved regions. */
  async untilInForce() {
    mark(this.news, "class", "news");
    say(this.news, "Saved. The service is taking it over…");
    for (let asked = 0; asked < PATIENCE; asked += 1) {
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
      if ((await get(this.url)).in_force) {
        say(this.news, "Saved, and in force.");
        return;
      }
    }
    this.fail(new Error("Saved, but the service goes on as before: its log tells why."));
  }

  update() {
    const camera = this.server.status.cameras.find((each) => each.name === this.name);
    if (!camera) {
      mark(this.root, "data-look", "offline");
      say(this.badge, "Removed");
      return;
    }
    const { look, word, note } = judge(camera, this.pictures.age(this.name), this.server);
    mark(this.root, "data-look", look);
    mark(this.canvas, "aria-label", `${camera.name}, ${word}`);
    say(this.badge, word);
    say(this.note, note);
    this.stage.style.setProperty("--ratio", this.canvas.width / this.canvas.height);
  }

  close() {
    this.closing.abort();
    this.pictures.remove(this.name);
    this.drawing.close();
  }
}

/** A shape in the list: select, name, remove. */
class ShapeRow {
  constructor(drawing, index, kind) {
    this.drawing = drawing;
    this.index = Number(index);
    const select = () => drawing.select(this.index);
    this.swatch = el("button", { type: "button", class: `swatch ${kind}`, onclick: select });
    this.removal = el("button", { type: "button", class: "remove", onclick: () => drawing.remove(this.index) }, "×");
    this.name =
      kind === "ignore"
        ? el("span", { class: "name" })
        : el("input", { class: "name", maxlength: 64, spellcheck: "false", onchange: () => this.rename(), onfocus: select });
    this.name.ariaLabel = kind === "ignore" ? null : `${KINDS[kind].word}'s name`;
    const turn = el("button", { type: "button", class: "turn-round", title: "Count the other way", "aria-label": "Count the other way", onclick: () => this.turn() }, "⇄");
    this.turning = kind === "line" ? turn : null;
    this.root = el("li", { "data-kind": kind }, this.swatch, this.name, this.turning, this.removal);
  }

  update(shape) {
    const { shapes, selected, fixed } = this.drawing;
    const name = title(shape, shapes);
    mark(this.root, "data-chosen", selected === this.index);
    mark(this.swatch, "aria-pressed", selected === this.index);
    mark(this.swatch, "aria-label", `Select ${name}`);
    mark(this.removal, "aria-label", `Remove ${name}`);
    this.removal.hidden = fixed;
    if (this.turning) this.turning.hidden = fixed;
    if (this.name.tagName === "SPAN") say(this.name, name);
    else if (document.activeElement !== this.name) this.name.value = shape.name;
    this.name.disabled = fixed;
  }

  rename() {
    this.replace({ name: this.name.value.trim() });
  }

  /** Exchange a line's ends, and with them `in` and `out`. */
  turn() {
    this.replace({ points: this.drawing.shapes[this.index].points.toReversed() });
  }

  replace(changes) {
    const { drawing, index } = this;
    drawing.dispatchEvent(new Event("gesture"));
    drawing.change(drawing.shapes.with(index, { ...drawing.shapes[index], ...changes }));
  }
}

/** What a change does to the configuration file, line by line, before it is saved. */
class DiffDialog {
  constructor(save) {
    this.lines = el("pre", { class: "diff", tabindex: 0, "aria-label": "Changes of the file" });
    this.save = button("Save", () => this.end(save), "primary");
    this.text = el("p", {});
    const back = button("Back", () => this.end());
    this.root = el(
      "dialog",
      { "aria-label": "Changes of the configuration file", onkeydown: (event) => event.stopPropagation() },
      el("h2", {}, "Save to the configuration file?"),
      this.text,
      this.lines,
      el("div", { class: "tools" }, this.save, back),
    );
  }

  show(diff) {
    this.lines.replaceChildren(...diff.slice(2).map(diffLine));
    this.lines.hidden = this.save.hidden = !diff.length;
    say(this.text, diff.length ? "The service then reads it again; the camera reconnects." : "The file says this already.");
    this.root.showModal();
    (diff.length ? this.save : this.root).focus();
  }

  end(then = () => {}) {
    this.root.close();
    then();
  }
}

function diffLine(line) {
  const tag = { "+": "ins", "-": "del" }[line[0]] ?? "span";
  return el(tag, { class: line.startsWith("@@") ? "place" : null }, line, "\n");
}

function button(text, onclick, kind = null) {
  return el("button", { type: "button", class: kind, onclick }, text);
}

/** Replace buttons; the one with the focus hands it to its successor. */
function keepFocus(parent, buttons) {
  const before = [...parent.children];
  if (before.map((each) => each.textContent).join() === buttons.map((each) => each.textContent).join()) {
    before.forEach((each, index) => {
      each.disabled = buttons[index].disabled;
    });
    return;
  }
  parent.replaceChildren(...buttons);
}
