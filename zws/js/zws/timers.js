// The timers of a connection, and the delays between its attempts.
// SPDX-License-Identifier: MPL-2.0

import { TOO_MANY } from './errors.js';

const STABLE = 10_000; // ms for which a connection is ready before its failures are forgotten

export class Timers {
  #running = new Set();
  #failures = 0; // since the connection was last stable

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

  /** Starts the period after which the connection counts as stable. */
  ready() {
    this.cancel();
    this.after(STABLE, () => { this.#failures = 0; });
  }

  /**
   * Schedules the next attempt and returns its delay in ms. It is random, between half of the
   * interval and the whole, so that clients that were disconnected together do not reconnect
   * together.
   */
  retry(code, { reconnectInterval, reconnectMaxInterval }, action) {
    const interval = code === TOO_MANY ? reconnectMaxInterval : reconnectInterval * 2 ** this.#failures++;
    const delay = Math.round(Math.min(interval, reconnectMaxInterval) * (0.5 + Math.random() / 2));
    this.after(delay, action);
    return delay;
  }
}
