// Asks for /health again and again. A question has a time limit, and the next one comes after its answer.

const pause = 2_000; // ms
const limit = 5_000; // ms

export class Health {
  #tell;
  #timer = null;
  #running = false;
  #newest = {health: null, at: 0};

  /** @param {(message: {health: object | null, at: number}) => void} tell of the health, null if there is no answer, and the time of the newest one */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Begins, unless it has begun; then the tab gets what is known. */
  start(tab) {
    if (this.#running) return tab.postMessage(this.#newest);
    this.#running = true;
    this.#ask();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #ask() {
    let health = null;
    try {
      const response = await fetch("/health", {cache: "no-store", signal: AbortSignal.timeout(limit)});
      health = await response.json();
    } catch {
      // The page shows that there is no answer.
    }
    if (!this.#running) return;
    this.#newest = {health, at: health ? Date.now() : this.#newest.at};
    this.#tell(this.#newest);
    this.#timer = setTimeout(() => this.#ask(), pause);
  }
}
