// One camera: its picture, detections, status and recordings.

import { el, mark, say } from "./dom.js";
import { factList } from "./files.js";
import { lift, milliseconds, percent, span } from "./format.js";
import { Recordings } from "./recordings.js";
import { judge } from "./state.js";

export class CameraView {
  constructor(server, pictures, name, moment) {
    this.server = server;
    this.pictures = pictures;
    this.name = name;
    this.canvas = el("canvas", { width: 1280, height: 720, role: "img" });
    this.note = el("p", { class: "note" });
    this.badge = el("span", { class: "badge" });
    this.fault = el("p", { class: "fault", hidden: true });
    this.found = el("tbody", {});
    this.facts = el("div", {});
    this.recordings = new Recordings(name, moment);
    this.root = el(
      "section",
      { class: "view camera", "aria-label": name, "data-camera": name },
      el("p", { class: "back" }, el("a", { href: "#/" }, "← Cameras")),
      el(
        "header",
        { class: "head" },
        el("h1", {}, name),
        this.badge,
        el("a", { class: "action", href: `#/events?${new URLSearchParams({ camera: name })}` }, "Events"),
        el("a", { class: "action", href: `#/zones/${encodeURIComponent(name)}` }, "Zones"),
      ),
      this.fault,
      el(
        "div",
        { class: "beside" },
        el(
          "div",
          { class: "side" },
          el("div", { class: "tile" }, el("div", { class: "screen" }, this.canvas, this.note)),
          detectionTable(this.found),
        ),
        this.facts,
      ),
      this.recordings.root,
    );
    pictures.add(name, this.canvas);
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
    this.fault.hidden = !camera.error;
    say(this.fault, [camera.error, camera.hint].filter(Boolean).join(". "));
    this.found.replaceChildren(...rows(camera));
    this.facts.replaceChildren(factList(factsOf(camera)));
    this.recordings.offer(camera.recorded);
  }

  close() {
    this.pictures.remove(this.name);
    this.recordings.close();
  }
}

function detectionTable(body) {
  const heads = ["Found", "Score", "Lift", "Energy", "Peak"];
  const titles = [
    "The detector's label",
    "The detector's confidence",
    "The map's share in the box over the box's share of the picture; 1 is chance",
    "The map's share in the box",
    "Whether the map's maximum lies in the box",
  ];
  const cells = heads.map((head, index) => el("th", { scope: "col", title: titles[index] }, head));
  const table = el("table", { class: "found" }, el("thead", {}, el("tr", {}, ...cells)), body);
  // Of fixed height, so that the elements below do not move.
  return el("div", { class: "scroller", role: "region", "aria-label": "Last found", tabindex: 0 }, table);
}

function rows(camera) {
  const detections = camera.latest?.record.detections ?? [];
  if (!detections.length)
    return [el("tr", {}, el("td", { colspan: 5, class: "quiet" }, "nothing found"))];
  return detections.map(({ label, confidence, focus }) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, label),
      el("td", {}, percent(confidence)),
      el("td", {}, el("meter", { min: 0, max: 8, value: focus.lift, "aria-hidden": "true" }), lift(focus.lift)),
      el("td", {}, percent(focus.energy)),
      el("td", {}, focus.peak_inside ? "inside" : ""),
    ),
  );
}

function factsOf(camera) {
  const { counts, latency, latest } = camera;
  const dropped = Object.entries(counts.dropped).map(([cause, number]) => `${number} ${cause}`);
  const outlets = Object.entries(camera.outlets).map(([name, fault]) => `${name}: ${fault ?? "good"}`);
  const cam = latest?.record.cam;
  return {
    Rate: `${camera.explained_rate.toFixed(1)} of ${camera.frame_rate.toFixed(1)} fps explained`,
    Latency: latency ? `${milliseconds(latency.p50)}, 95 % below ${milliseconds(latency.p95)}` : "unknown",
    "Last frame": camera.last_frame_age === null ? "none yet" : `${span(camera.last_frame_age)} ago`,
    Picture: camera.width ? `${camera.width} × ${camera.height} ${camera.codec ?? ""}` : "unknown",
    Map: cam ? `${cam.method}, flicker ${cam.flicker?.toFixed(3) ?? "–"}` : "none yet",
    Frames: `${counts.explained} explained, ${counts.corrupt} corrupt`,
    Dropped: dropped.join(", ") || "none",
    Reconnects: camera.killed ? `${camera.reconnects}, ${camera.killed} readers killed` : String(camera.reconnects),
    Results: outlets.join("; ") || "this page only",
    Address: camera.url,
  };
}
