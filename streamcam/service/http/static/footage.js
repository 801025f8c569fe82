// What a player plays: segments on a line of time, and what was found in them.
//
// A footage has `axis`, `begin`, `end`, `known`, `segments` ([{begin, seconds, video, files, name}], in
// order), `data` (counts and lifts in buckets, see the API's timelines) and `nativeControls` (whether
// the browser's own suit it); `load()` fetches them, "change" tells of new ones.

import { clockAxis, videoAxis } from "./axis.js";
import { get } from "./server.js";

const AGAIN = 200; // ms between requests while the server is still reading
const BACK = 0.5; // s before the end of a segment, where one comes to it from behind
const ROUNDING = 0.5; // s
const NOTHING = { begin: 0, step: 1, frames: [], flicker: [], classes: [] };

class Footage extends EventTarget {
  known = 0; // what is before is not known yet
  segments = [];
  data = NOTHING;

  /** The segment at a moment, and the moment; from a gap on to the next one's begin, or `back`. */
  place(seconds, back = false) {
    const before = this.segments.findLast(({ begin }) => begin <= seconds);
    const next = this.segments.find(({ begin }) => begin > seconds);
    if (before && seconds < before.begin + before.seconds) return { segment: before, time: seconds };
    if (next && !(back && before)) return { segment: next, time: next.begin };
    if (!before) return null;
    const last = back ? Math.max(0, before.seconds - BACK) : before.seconds;
    return { segment: before, time: before.begin + last };
  }

  /** Whether nothing was recorded at a moment; videos may be a little longer than their records. */
  isGap(seconds) {
    const place = this.place(seconds);
    return !place || Math.abs(place.time - seconds) > ROUNDING;
  }

  /** Whether there will be more of it. */
  get grows() {
    return false;
  }

  after(segment) {
    return this.segments.find(({ begin }) => begin > segment.begin) ?? null;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** One video: a file's, or an event's clip. Positions are seconds from its beginning. */
export class VideoFootage extends Footage {
  axis = videoAxis;
  nativeControls = true;
  begin = 0;

  /** `video` and `timeline` are addresses, `poster` one or null. */
  constructor(video, timeline, poster = null) {
    super();
    this.address = timeline;
    this.poster = poster;
    this.end = 0.1;
    this.segments = [{ begin: 0, seconds: this.end, video, name: "video" }];
  }

  async load() {
    this.data = await timelineOf(this.address, 0);
    this.lengthen(this.data.begin + this.data.step * this.data.frames.length);
  }

  /** Reach as far as the video does. */
  lengthen(seconds) {
    this.end = Math.max(this.end, seconds);
    this.segments[0].seconds = this.end;
    this.changed();
  }

  /** Finer data of a part of the video. */
  detail(from, to) {
    const margin = to - from;
    const part = { from: Math.max(0, from - margin), to: Math.min(this.end, to + margin) };
    return timelineOf(`${this.address}?${new URLSearchParams(part)}`, 0);
  }

  async exact() {
    return null;
  }
}

/** A camera's recording of a period, such as a day. Positions are seconds since 1970. */
export class RecordedFootage extends Footage {
  axis = clockAxis;
  nativeControls = false;
  poster = null;

  constructor(camera, begin, end) {
    super();
    this.camera = `/api/cameras/${encodeURIComponent(camera)}`;
    this.begin = begin;
    this.end = end;
    this.known = end;
    this.data = { ...NOTHING, begin };
    this.closed = false;
  }

  get grows() {
    return this.end * 1000 > Date.now();
  }

  /** Fetch what there is, as it is being read. */
  async load() {
    for (;;) {
      const { segments, pending, ...data } = await get(this.address(this.begin, this.end));
      if (this.closed) return;
      this.segments = segments.map((segment) => this.segment(segment));
      this.pending = pending;
      this.data = { ...data, begin: Date.parse(data.begin) / 1000 };
      // The latest are read first.
      this.known = pending ? (this.segments[0]?.begin ?? this.end) : this.begin;
      this.changed();
      if (!pending) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  /** Finer data of a part of the period, with as much again on either side. */
  async detail(from, to) {
    const margin = to - from;
    const [begin, end] = [Math.max(this.begin, from - margin), Math.min(this.end, to + margin)];
    const data = await get(this.address(Math.floor(begin), Math.ceil(end)));
    return { ...data, begin: Date.parse(data.begin) / 1000 };
  }

  /** What was found in a segment, frame by frame. */
  exact({ name, begin }) {
    return timelineOf(`${this.camera}/recordings/${name}/timeline`, begin);
  }

  close() {
    this.closed = true;
  }

  address(from, to) {
    const text = (seconds) => new Date(seconds * 1000).toISOString();
    return `${this.camera}/timeline?${new URLSearchParams({ from: text(from), to: text(to) })}`;
  }

  segment({ name, begin, seconds }) {
    const files = {
      video: `${this.camera}/recordings/${name}/video`,
      records: `${this.camera}/recordings/${name}/records`,
    };
    return { name, begin: Date.parse(begin) / 1000, seconds, video: files.video, files };
  }
}

/** The timeline of a video that begins at a moment. */
async function timelineOf(address, begin) {
  const { start, ...data } = await get(address);
  return { ...data, begin: begin + start };
}
