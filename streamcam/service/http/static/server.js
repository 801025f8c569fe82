// The server's status, and whether the server still answers.

const PERIOD = 1000; // ms between requests
const TIMEOUT = 3000; // ms without a response until the server counts as gone

/** Get JSON. A missing token leads to the login page. */
export async function get(url, options = {}) {
  return (await request(url, options)).json();
}

/** Send JSON, to change something; what is answered is JSON or nothing. */
export async function send(method, url, content = {}) {
  const headers = { "content-type": "application/json" };
  const answer = await request(url, { method, headers, body: JSON.stringify(content) });
  return answer.status === 204 ? null : answer.json();
}

async function request(url, options) {
  const answer = await fetch(url, options);
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) {
    const fault = await answer.json().catch(() => ({}));
    throw new Error(typeof fault.detail === "string" ? fault.detail : `error ${answer.status}`);
  }
  return answer;
}

/** Requests the status every second and notifies listeners; `gone` when there is no response. */
export class Server extends EventTarget {
  status = null;
  heard = performance.now();
  fault = null;

  get gone() {
    return performance.now() - this.heard > TIMEOUT;
  }

  /** Seconds since the last response: the displayed ages are too low by that much. */
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
      this.status = await get("/api/status", { signal: AbortSignal.timeout(TIMEOUT) });
      this.heard = asked;
      this.fault = null;
    } catch (error) {
      this.fault = error instanceof TypeError || error.name === "TimeoutError" ? null : error.message;
    }
  }
}
