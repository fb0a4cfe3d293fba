// How often a server can have events emitted. SPDX-License-Identifier: MPL-2.0

const LIMIT = 20; // events a second

/**
 * Passes notifications of a connection on, at most LIMIT a second. Of further ones of that
 * second the latest of each name follows at its end, for lost ones with the sum of the counts.
 */
export class Notifications {
  #emit;
  #emitted = 0; // in this second
  #waiting = new Map(); // events by name
  #timer;

  constructor(emit) {
    this.#emit = emit;
  }

  put(name, event) {
    this.#timer ??= setTimeout(() => this.#next(), 1000);
    if (this.#emitted++ < LIMIT) {
      this.#emit(name, event);
      return;
    }
    const count = (event.count ?? 0) + (this.#waiting.get(name)?.count ?? 0);
    this.#waiting.set(name, name === 'lost' ? { count } : event);
  }

  #next() {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#timer = undefined;
    this.#emitted = 0;
    waiting.forEach((event, name) => this.put(name, event));
  }
}
