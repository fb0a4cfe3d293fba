// The timers of a connection, and how long it waits before it tries again.
// SPDX-License-Identifier: MPL-2.0

import { TOO_MANY } from './errors.js';

const STEADY = 10_000; // ms: a connection that lived so long was a good one

export class Timers {
  #running = new Set();
  #failures = 0; // since the connection was steady

  after(delay, action) {
    const timer = setTimeout(() => {
      this.#running.delete(timer);
      action();
    }, delay);
    this.#running.add(timer);
  }

  cancel() {
    this.#running.forEach(clearTimeout);
    this.#running.clear();
  }

  /** The connection is ready. If it stays so, the next loss is a first one. */
  ready() {
    this.cancel();
    this.after(STEADY, () => { this.#failures = 0; });
  }

  /**
   * Tries again after a delay, which it returns: between a half and the whole of what is
   * due, so that clients that were lost together do not come back together.
   */
  retry(code, { reconnectInterval, reconnectMaxInterval }, action) {
    const longest = code === TOO_MANY ? reconnectMaxInterval : reconnectInterval * 2 ** this.#failures++;
    const delay = Math.round(Math.min(longest, reconnectMaxInterval) * (0.5 + Math.random() / 2));
    this.after(delay, action);
    return delay;
  }
}
