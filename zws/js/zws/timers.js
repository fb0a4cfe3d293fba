// The timers of a connection, and the delays between its attempts.
// SPDX-License-Identifier: MPL-2.0

import { TOO_MANY } from './errors.js';

const ADVICE = /; retry in ([1-9]\d?|[1-5]\d\d|600)s$/; // of the server, in seconds
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
   * Schedules the next attempt and returns its delay in ms: what the server advises and up to
   * half as long in addition, or between half of the interval and the whole. It is random, so
   * that clients that were disconnected together do not reconnect together.
   */
  retry(code, reason, { reconnectInterval, reconnectMaxInterval }, action) {
    const [, seconds] = ADVICE.exec(reason) ?? [];
    let shortest = seconds * 1000, more = shortest / 2;
    if (!seconds) {
      const interval = code === TOO_MANY ? reconnectMaxInterval : reconnectInterval * 2 ** this.#failures++;
      shortest = more = Math.min(interval, reconnectMaxInterval) / 2;
    }
    const delay = Math.round(shortest + more * Math.random());
    this.after(delay, action);
    return delay;
  }
}
