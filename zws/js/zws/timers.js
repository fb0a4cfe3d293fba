// The timers of a connection, and the delays between its attempts.
// SPDX-License-Identifier: MPL-2.0

import { TOO_MANY } from './errors.js';

const ADVICE = /; retry in ([1-9]\d?|[1-5]\d\d|600)s$/; // of the server, in seconds
const STABLE = 10_000; // ms for which a connection is ready before its failures are forgotten
const LONGEST = 30_000; // ms after "too many" if the interval does not grow
const MAX_DELAY = 2 ** 31 - 1; // ms: setTimeout takes no more

export class Timers {
  #running = new Set();
  #failures = 0; // since the connection was last stable
  #attempt; // starts the next attempt while that is scheduled
  #advised = false; // whether the server has said when

  /** Returns what stop takes. An infinite delay never ends. */
  after(delay, action) {
    if (delay === Infinity) return undefined;
    const timer = setTimeout(() => {
      this.#running.delete(timer);
      action();
    }, Math.min(delay, MAX_DELAY));
    this.#running.add(timer);
    return timer;
  }

  stop(timer) {
    clearTimeout(timer);
    this.#running.delete(timer);
  }

  cancel() {
    this.#running.forEach(clearTimeout);
    this.#running.clear();
    this.#attempt = undefined;
  }

  /** Starts the period after which the connection counts as stable. */
  ready() {
    this.cancel();
    this.after(STABLE, () => { this.#failures = 0; });
  }

  /** Starts the next attempt now if one is scheduled and the server has not said when. */
  hurry() {
    if (!this.#advised) this.#attempt?.();
  }

  /** Forgets earlier failures. */
  forget() {
    this.#failures = 0;
  }

  /**
   * Schedules the next attempt and returns its delay in ms: what the server advises and up to
   * half as long in addition; what backoff returns; or between half of the interval and the
   * whole. It is random, so that clients that were disconnected together do not reconnect
   * together.
   */
  retry(code, reason, options, action) {
    const [, seconds] = ADVICE.exec(reason) ?? [], random = Math.random();
    let delay = seconds * 1000 * (1 + random / 2);
    if (!seconds) delay = this.#chosen(options) ?? this.#interval(code, options) * (1 + random) / 2;
    delay = Math.min(Math.round(delay), MAX_DELAY);
    this.#advised = !!seconds || code === TOO_MANY;
    this.#attempt = () => {
      this.cancel();
      action();
    };
    this.after(delay, this.#attempt);
    return delay;
  }

  /** Returns the delay that the application chooses. If its function fails, that is reported to the page. */
  #chosen({ backoff }) {
    if (!backoff) return undefined;
    this.#failures++;
    try {
      const delay = backoff(this.#failures);
      if (!(delay >= 0)) throw new RangeError(`backoff returned ${String(delay)}, want milliseconds`);
      return delay;
    } catch (error) {
      queueMicrotask(() => { throw error; });
      return undefined;
    }
  }

  #interval(code, { reconnectInterval, reconnectMaxInterval }) {
    if (code === TOO_MANY) return reconnectMaxInterval || LONGEST;
    return Math.min(reconnectInterval * 2 ** this.#failures++, Math.max(reconnectMaxInterval, reconnectInterval));
  }
}
