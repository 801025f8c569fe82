// A camera's state in words, and whether its picture is current.

import { span } from "./format.js";

const WORDS = {
  live: "Live",
  connecting: "Connecting",
  stalled: "Stalled",
  "backing off": "Offline",
  failed: "Offline",
  paused: "Paused",
  stopped: "Stopped",
};

/** Seconds from which on a live camera's picture counts as old: five of its frames, at least three. */
function limit(camera) {
  return Math.max(3, 5 / Math.max(camera.explained_rate, 0.1));
}

function old(age) {
  return age === null ? "no picture yet" : `picture is ${span(age)} old`;
}

/**
 * Judge a camera.
 * @returns {{look: string, word: string, note: string}} `look` is "live" only when the picture is.
 */
export function judge(camera, age, server) {
  if (server.gone)
    return { look: "gone", word: "No answer", note: `the server is silent for ${span(server.silence)}` };
  // Each reconnection is another state: the time without a new picture counts.
  const since = Math.max(camera.seconds, camera.last_frame_age ?? 0) + server.silence;
  if (camera.state !== "live") {
    const look = { connecting: "connecting", stalled: "stalled", paused: "paused" }[camera.state] ?? "offline";
    const word = `${WORDS[camera.state]} ${span(since)}`;
    return { look, word, note: `${WORDS[camera.state]}\n${old(age)}` };
  }
  if (age === null) return { look: "waiting", word: "Live", note: "waiting for a picture" };
  if (age > limit(camera)) return { look: "old", word: "Old picture", note: old(age) };
  return { look: "live", word: "Live", note: "" };
}

/** Detections by label: [{label, count, lift}], in the order of confidence. */
export function byLabel(detections) {
  const groups = new Map();
  for (const { label, focus } of detections) {
    const group = groups.get(label) ?? { label, count: 0, lift: 0 };
    group.lift += focus.lift;
    group.count += 1;
    groups.set(label, group);
  }
  return [...groups.values()].map((group) => ({ ...group, lift: group.lift / group.count }));
}
