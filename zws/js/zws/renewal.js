// Renews a login with a newer token before it expires. SPDX-License-Identifier: MPL-2.0

import { SocketError } from './errors.js';

const INTERVAL = 1_500; // ms: the bridge accepts a new token at most once a second
const MAX_ASKED = 5, PERIOD = 10_000; // the token function is called at most so often in so many ms

/**
 * Asks for a token when the server announces that the login expires. The issuer may have none
 * that is newer until shortly before the old one expires, so it is asked again after half of the
 * time left, and once more when the login has expired. It is asked once at a time, and not more
 * often because the server announces more often.
 */
export class Renewal {
  /** Why there was no token when it was last asked for; undefined if there was one. */
  failure;
  #credentials;
  #timers;
  #timeout;
  #send;
  #handshake; // of the current login
  #asking = false;
  #asked = 0; // in this period
  #announced; // seconds that the server has announced meanwhile
  #renewed = false; // within the last INTERVAL
  #next; // the timer that asks again

  /** send sends a token. All timers are stopped with those of the link. */
  constructor(credentials, timers, timeout, send) {
    this.#credentials = credentials;
    this.#timers = timers;
    this.#timeout = timeout;
    this.#send = send;
  }

  /** Begins with the handshake of a new login, or ends without one. */
  begin(handshake) {
    this.#handshake = handshake;
    this.#asking = this.#renewed = false;
    this.#asked = 0;
    this.#announced = undefined;
    if (handshake) this.failure = undefined;
  }

  /** Renews the login, which expires in seconds. */
  expiring(seconds) {
    if (!this.#credentials.token || !this.#handshake) return;
    this.#timers.stop(this.#next);
    if (this.#asking) this.#announced = seconds;
    else if (this.#renewed || this.#asked >= MAX_ASKED) this.#later(seconds);
    else this.#ask(seconds);
  }

  #later(seconds) {
    const delay = Math.max(seconds * 500, INTERVAL);
    this.#next = this.#timers.after(delay, () => this.expiring(seconds - delay / 1000));
  }

  async #ask(seconds) {
    const handshake = this.#handshake;
    this.#asking = true;
    if (!this.#asked++) this.#timers.after(PERIOD, () => { this.#asked = 0; });
    const newer = await this.#token();
    if (handshake !== this.#handshake) return;
    this.#asking = false;
    const left = this.#announced ?? seconds;
    this.#announced = undefined;
    if (!newer || handshake.hasToken(newer)) {
      if (left > 0) this.#later(left);
      return;
    }
    this.#send(newer);
    this.#renewed = true;
    this.#timers.after(INTERVAL, () => { this.#renewed = false; });
  }

  /** Returns the current token, or undefined if there is none or it takes too long. */
  async #token() {
    let timer;
    try {
      const token = await Promise.race([this.#credentials.token(), new Promise((_, reject) => {
        timer = this.#timers.after(this.#timeout, () => reject(new SocketError('ETIMEDOUT', `the token took longer than ${this.#timeout} ms`)));
      })]);
      this.failure = undefined;
      return token;
    } catch (error) {
      this.failure = error;
      return undefined;
    } finally {
      this.#timers.stop(timer);
    }
  }
}
