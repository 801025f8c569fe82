// The cameras' live pictures by long polling. One request at a time is for all visible cameras and
// waits until one has a newer picture: a slow network skips pictures and never shows old ones, and a
// hidden page requests nothing.

const PAUSE = 1000; // ms after a failure

export class Pictures {
  constructor() {
    this.canvases = new Map(); // by camera: {canvas, number, at, visible}
    this.changed = () => {};
    this.observer = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "64px" });
    document.addEventListener("visibilitychange", () => this.ask());
  }

  /** Show a camera on a canvas until `remove`. */
  add(camera, canvas) {
    this.canvases.set(camera, { canvas, number: 0, at: null, visible: false });
    canvas.dataset.camera = camera;
    this.observer.observe(canvas);
  }

  remove(camera) {
    const shown = this.canvases.get(camera);
    if (!shown) return;
    this.observer.unobserve(shown.canvas);
    this.canvases.delete(camera);
    this.ask();
  }

  /** The age of the picture on a canvas in seconds; null before the first. */
  age(camera) {
    const at = this.canvases.get(camera)?.at;
    return at === null || at === undefined ? null : (performance.now() - at) / 1000;
  }

  async run() {
    for (;;) {
      const wanted = document.hidden ? [] : [...this.canvases].filter(([, shown]) => shown.visible);
      const change = new AbortController();
      this.changed = () => change.abort();
      try {
        if (wanted.length) await this.fetch(wanted, change.signal);
        else await new Promise((resolve) => change.signal.addEventListener("abort", resolve));
      } catch (error) {
        if (error.name !== "AbortError") await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  /** Restart the request: the visible cameras have changed. */
  ask() {
    this.changed();
  }

  seen(entries) {
    for (const entry of entries) {
      const shown = this.canvases.get(entry.target.dataset.camera);
      if (shown?.canvas === entry.target) shown.visible = entry.isIntersecting;
    }
    this.ask();
  }

  async fetch(wanted, signal) {
    const query = new URLSearchParams(wanted.map(([camera, shown]) => [camera, shown.number]));
    const answer = await fetch(`/api/live?${query}`, { signal });
    if (answer.status === 401) location.assign("/login");
    if (!answer.ok) throw new Error(`error ${answer.status}`);
    const content = await answer.arrayBuffer();
    const length = new DataView(content).getUint32(0);
    const heads = JSON.parse(new TextDecoder().decode(content.slice(4, 4 + length)));
    let begin = 4 + length;
    for (const head of heads) {
      await this.paint(head, content.slice(begin, begin + head.bytes));
      begin += head.bytes;
    }
  }

  async paint(head, jpeg) {
    const at = performance.now() - head.age * 1000;
    const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    const shown = this.canvases.get(head.camera);
    if (shown) {
      const { canvas } = shown;
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      canvas.getContext("2d").drawImage(picture, 0, 0);
      shown.number = head.number;
      shown.at = at;
    }
    picture.close();
  }
}
