// An event in words.

import { lift, percent, position, span } from "./format.js";

const SUSPICIONS = {
  "off-object": ({ focus }) =>
    `the map lay off the object in ${percent(focus.share_off_object)} of its frames`,
  flickering: () => "it was found and lost again and again",
};

/** "yard: person" */
export function title(event) {
  return `${event.label}, ${event.source}`;
}

export function begun(event) {
  return new Date(event.begin.time_utc);
}

/** "14:03:22" */
export function clock(moment) {
  return moment.toLocaleTimeString(undefined, { timeStyle: "medium" });
}

/** "Today", "Yesterday", "Monday, 3 March 2025" */
export function dayName(moment) {
  const days = Math.round((midnight(new Date()) - midnight(moment)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return moment.toLocaleDateString(undefined, { dateStyle: "full" });
}

export function midnight(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
}

/** Seconds from the first frame to the last, of one that lasts to now. */
export function seconds(event, now = Date.now()) {
  if (event.end) return event.end.time - event.begin.time;
  return Math.max(0, (now - begun(event)) / 1000);
}

/** "0:12", as videos are marked. */
export function length(event) {
  return position(Math.round(seconds(event)));
}

/** Why it may be a false alarm; empty where nothing speaks for that. */
export function suspicion(event) {
  const reasons = event.suspicions.map((each) => SUSPICIONS[each](event));
  return reasons.length ? `May be a false alarm: ${reasons.join("; ")}.` : "";
}

/** Facts by name, for a list. */
export function facts(event) {
  const { focus } = event;
  const off = focus.share_off_object;
  return {
    When: `${begun(event).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })}`,
    Lasted: event.end ? span(seconds(event)) : `${span(seconds(event))} so far`,
    Confidence: `${percent(event.confidence)} at best`,
    Focus: `lift ${lift(focus.lift_mean)} on average, ${lift(focus.lift_min)} at least; 1 is chance`,
    "Off the object": off ? `in ${percent(off)} of its frames` : "never",
    Zones: event.zones.join(", ") || "none",
    Frames: `${event.frames} explained`,
    Track: String(event.track_id),
  };
}
