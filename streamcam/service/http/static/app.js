// The page: the choice of the view, and the parts that all views share.

import { CameraView } from "./camera.js";
import { el, mark, say } from "./dom.js";
import { EventWall } from "./events.js";
import { Files, FileView } from "./files.js";
import { bytes, span } from "./format.js";
import { Pictures } from "./pictures.js";
import { Server } from "./server.js";
import { Wall } from "./wall.js";
import { ZoneEditor } from "./zones.js";

const main = document.getElementById("main");
const server = new Server();
const pictures = new Pictures();
let view = null;

/** The views by address; each has a root, `update()` for every new status, and `close()`. */
function viewOf(address) {
  const [kind, name, moment] = address.split("/").slice(1).map(decodeURIComponent);
  if (kind === "camera" && name) return new CameraView(server, pictures, name, moment);
  if (kind?.startsWith("event")) return new EventWall();
  if (kind === "zones" && name) return new ZoneEditor(server, pictures, name);
  if (kind === "file" && name) return new FileView(Number(name));
  if (kind === "files") return new Files(200, name);
  return new Overview();
}

/** Cameras above, files below. */
class Overview {
  constructor() {
    this.wall = new Wall(server, pictures);
    this.files = new Files(12);
    this.root = el("div", { class: "overview" }, this.wall.root, this.files.root);
  }

  update() {
    this.wall.update();
    this.files.update();
  }

  close() {
    this.wall.close();
  }
}

/** The page's address; "#event=ID" is short for that of an event. */
function currentAddress() {
  const { hash } = location;
  if (hash.startsWith("#event=")) return `#/event/${hash.slice("#event=".length)}`;
  return hash.startsWith("#/") ? hash : "#/";
}

function show() {
  const address = currentAddress();
  markLink(address);
  // A view may have several addresses.
  if (view?.follow?.(address)) return;
  view?.close();
  view = viewOf(address);
  main.replaceChildren(view.root);
  view.follow?.(address);
  scrollTo(0, 0);
  if (server.status) view.update();
}

function markLink(address) {
  const [, kind] = address.split(/[/?]/);
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    if (link.hash === `#/${kind === "event" ? "events" : kind}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function look() {
  tellService();
  tellGone();
  if (server.status) view.update();
}

function tellService() {
  const line = document.getElementById("service");
  const { status } = server;
  if (!status) return;
  const reasons = status.not_ready;
  const state = server.gone ? "gone" : reasons.length ? "warn" : "good";
  line.dataset.state = state;
  const word = { gone: "No answer", warn: `Not ready: ${reasons[0]}`, good: "Ready" }[state];
  say(line, reasons.length > 1 && state === "warn" ? `${word} (and ${reasons.length - 1} more)` : word);
  mark(line, "title", reasons.join("\n"));
  say(document.getElementById("facts"), facts(status));
}

function facts(status) {
  const live = status.cameras.filter((camera) => camera.state === "live").length;
  const room = status.output_free_bytes;
  const memory = Object.entries(status.gpu_memory).map(
    ([device, { used, total }]) => `${device} ${bytes(used)} of ${bytes(total)}`,
  );
  return [
    `streamcam ${status.version}`,
    status.cameras.length ? `${live} of ${status.cameras.length} cameras live` : "",
    room === null ? "" : `${bytes(room)} free`,
    ...memory,
    "a map shows where the network responds, not why a box has its label",
  ]
    .filter(Boolean)
    .join("  ·  ");
}

function tellGone() {
  const line = document.getElementById("gone");
  line.hidden = !server.gone;
  document.body.classList.toggle("silent", server.gone);
  if (!server.gone) return;
  const fault = server.fault ? `The server answers: ${server.fault}` : "The server does not answer";
  say(line, `${fault}. What you see is ${span(server.silence)} old.`);
}

/** Show only the pictures, on the whole screen; from other views, return to the wall first. */
function toggleFull() {
  const full = !document.body.classList.contains("full");
  if (full && !(view instanceof Overview)) location.hash = "#/";
  document.body.classList.toggle("full", full);
  if (full) document.documentElement.requestFullscreen?.().catch(() => {});
  else if (document.fullscreenElement) document.exitFullscreen();
  if (server.status) view.update();
}

document.getElementById("full").addEventListener("click", toggleFull);
document.addEventListener("fullscreenchange", () => {
  if (!document.fullscreenElement && document.body.classList.contains("full")) toggleFull();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "f") toggleFull();
  else if (event.key === "Escape" && document.body.classList.contains("full")) toggleFull();
  else if (event.key === "Escape" && location.hash.length > 2) location.hash = "#/";
});
addEventListener("hashchange", show);
addEventListener("resize", () => server.status && view.update());
server.addEventListener("look", look);
// Ages grow between two responses too.
setInterval(look, 500);

show();
server.run();
pictures.run();
