// What the server says, and whether it still says anything.

const PERIOD = 1000; // ms between two looks at everything
const PATIENCE = 3000; // ms without an answer from which on the server counts as gone

/** Get JSON. A missing token leads to the login page. */
export async function get(url, options = {}) {
  const answer = await fetch(url, options);
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) {
    const fault = await answer.json().catch(() => ({}));
    throw new Error(typeof fault.detail === "string" ? fault.detail : `error ${answer.status}`);
  }
  return answer.json();
}

/** Asks for the status every second and tells listeners; `gone` when no answer comes. */
export class Server extends EventTarget {
  status = null;
  heard = performance.now();
  fault = null;

  get gone() {
    return performance.now() - this.heard > PATIENCE;
  }

  /** Seconds since the last answer: what is shown is that much older than it says. */
  get silence() {
    return (performance.now() - this.heard) / 1000;
  }

  async run() {
    for (;;) {
      if (!document.hidden) await this.look();
      this.dispatchEvent(new Event("look"));
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
    }
  }

  async look() {
    const asked = performance.now();
    try {
      this.status = await get("/api/status", { signal: AbortSignal.timeout(PATIENCE) });
      this.heard = asked;
      this.fault = null;
    } catch (error) {
      this.fault = error instanceof TypeError || error.name === "TimeoutError" ? null : error.message;
    }
  }
}
