// The page of `streamcam explain`: a picture, a box of it, what methods say of that box, and its
// score while regions are masked.

import { el, say } from "./dom.js";
import { Asker, History, Score } from "./explain_attempts.js";
import { middleOf } from "./explain_masks.js";
import { Methods } from "./explain_methods.js";
import { Stage } from "./explain_stage.js";
import { percent, position } from "./format.js";
import { get } from "./server.js";

const SETTLED = 500; // ms without a change, after which an attempt is kept

const byId = (id) => document.getElementById(id);

class Page {
  constructor(session, pictures) {
    this.session = session;
    this.box = 0;
    this.undone = []; // lists of masks before each gesture
    this.stage = new Stage(session, pictures);
    byId("stage").append(this.stage.canvas, this.stage.heat, this.stage.root);
    byId("stage").style.setProperty("--ratio", session.width / session.height);
    this.score = new Score(byId("score"), session.confidence);
    this.history = new History(byId("history"), (request) => this.restore(request));
    this.asker = new Asker((request, answer) => this.answered(request, answer), (error) => this.failed(error));
    this.methods = new Methods(session, { choices: byId("choices"), cards: byId("cards"), zoom: byId("zoom") });
    this.addBoxes();
    this.addFills();
    this.listen();
    this.choose(0);
  }

  addBoxes() {
    this.radios = this.session.boxes.map((_, number) =>
      el("input", { type: "radio", name: "box", value: number, checked: number === 0, onchange: () => this.choose(number) }),
    );
    const labels = this.session.boxes.map(({ label, score }, number) =>
      el("label", {}, this.radios[number], el("span", {}, label), el("b", {}, percent(score))),
    );
    byId("boxes").append(el("div", { class: "scroller" }, ...labels));
  }

  addFills() {
    const choices = this.session.fills.map(({ name, meaning }, place) => {
      const input = el("input", { type: "radio", name: "fill", value: name, checked: place === 0, onchange: () => this.setFill(name) });
      return el("label", { title: meaning }, input, name);
    });
    byId("fills").append(...choices);
  }

  listen() {
    const { stage } = this;
    stage.addEventListener("gesture", () => this.remember());
    stage.addEventListener("change", () => this.ask());
    stage.addEventListener("settle", () => this.settle());
    stage.addEventListener("choose", ({ detail }) => this.choose(detail));
    this.methods.addEventListener("look", ({ detail }) => stage.setHeat(detail));
    this.methods.addEventListener("fault", ({ detail }) => this.failed(detail));
    byId("add").addEventListener("click", () => this.add());
    byId("undo").addEventListener("click", () => this.undo());
    byId("clear").addEventListener("click", () => this.replace([]));
    byId("opacity").addEventListener("input", ({ target }) => this.setOpacity(target.value / 100));
    this.setOpacity(byId("opacity").value / 100);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
      event.preventDefault();
      this.undo();
    });
  }

  choose(number) {
    this.box = number;
    this.stage.chosen = number;
    this.stage.found = null;
    this.radios[number].checked = true;
    this.stage.draw();
    this.history.show(number);
    this.methods.choose(number);
    this.ask();
    this.settle();
  }

  setFill(fill) {
    this.stage.fill = fill;
    this.stage.draw();
    this.ask();
    this.settle();
  }

  setOpacity(opacity) {
    document.documentElement.style.setProperty("--heat", opacity);
  }

  // Masks

  remember() {
    this.undone.push(this.stage.masks);
  }

  add() {
    const mask = middleOf(this.session.boxes[this.box].box);
    const { masks } = this.stage;
    this.remember();
    this.put([...masks, mask], masks.length);
  }

  undo() {
    if (this.undone.length) this.put(this.undone.pop());
  }

  replace(masks) {
    this.remember();
    this.put(masks);
  }

  put(masks, focus = null) {
    this.stage.show(masks, focus);
    this.ask();
    this.settle();
  }

  /** Show an earlier attempt again. */
  restore({ fill, regions }) {
    document.querySelector(`input[name=fill][value=${fill}]`).checked = true;
    this.stage.fill = fill;
    this.replace(regions);
  }

  // The score

  get request() {
    return { box: this.box, fill: this.stage.fill, regions: this.stage.masks };
  }

  ask() {
    const { masks } = this.stage;
    byId("undo").disabled = !this.undone.length;
    byId("clear").disabled = !masks.length;
    this.asker.ask(this.request);
  }

  /** Keep the attempt, once it has been answered and nothing has changed for a while. */
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.keep(), SETTLED);
  }

  keep() {
    const { last } = this;
    if (!last || JSON.stringify(last.request) !== JSON.stringify(this.request)) {
      this.settle();
      return;
    }
    this.tell(last.answer, true);
    if (!last.request.regions.length) return;
    this.history.add(last.request, last.answer);
    this.history.show(this.box);
  }

  answered(request, answer) {
    byId("gone").hidden = true;
    if (request.box !== this.box) return;
    this.last = { request, answer };
    this.stage.found = answer;
    this.stage.draw();
    this.tell(answer, false);
  }

  tell(answer, settled) {
    const masked = this.last.request.regions.length > 0;
    this.score.show(this.box, this.session.boxes, answer, masked, settled);
  }

  failed(error) {
    const gone = error instanceof TypeError;
    say(byId("gone"), gone ? "streamcam explain has ended: start it again in the terminal." : error.message);
    byId("gone").hidden = false;
  }
}

async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

async function start() {
  const session = await get("/api/session");
  const fills = session.fills.map(({ name }) => [name, `/api/fillings/${name}`]);
  const urls = [["picture", "/api/picture"], ...fills];
  const pictures = Object.fromEntries(await Promise.all(urls.map(async ([name, url]) => [name, await load(url)])));
  const when = session.time === null ? "" : ` at ${position(session.time, true)}`;
  say(byId("about"), `${session.source}${when} · ${session.model} on ${session.device}`);
  document.title = `${session.source} · streamcam explain`;
  say(byId("facts"), `streamcam ${session.version} · ${session.width}×${session.height} pixels · boxes from ${percent(session.confidence)} on · a score is that of the best candidate of its class that overlaps the box by half, also below the threshold`);
  for (const [name, meaning] of Object.entries(session.measures)) byId("meanings").append(el("dt", {}, name), el("dd", {}, meaning));
  new Page(session, pictures);
}

await start();
