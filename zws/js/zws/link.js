// The WebSocket to one URL and its login, for every subprotocol: reconnects after a loss and
// renews the login before it expires.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, NOT_ACCEPTABLE, ProtocolError, RefusedError, isFinal, reasonOf } from './errors.js';
import { Timers } from './timers.js';

const MAX_BUFFERED = 1 << 20; // bytes in a WebSocket's buffer at which it counts as busy
const CLOSE_TIMEOUT = 100; // ms between the error and the close event of a WebSocket
const RENEWAL_INTERVAL = 1_500; // ms: the bridge accepts a new token at most once a second

/**
 * Reconnects until the login is refused for good or the link is closed. It calls its owner's
 * _ready, _notify, _disconnected and _refused. A subclass implements _greeting and _renewal,
 * which return the messages that log in and that renew the login, and _message, which handles
 * a received message. Its constructor ends with _open.
 */
export class Link {
  #protocol;
  #credentials;
  #properties;
  #options;
  #ws; // the current WebSocket; events of earlier ones are ignored
  #renewed = false; // within the last RENEWAL_INTERVAL
  #closed = false;
  #timers = new Timers();
  /** The handshake on the current WebSocket. */
  _handshake;
  ready = false;
  /** Whether the link has been ready before. */
  wasReady = false;

  /** properties are the metadata of the login. */
  constructor(url, protocol, credentials, properties, owner, options) {
    this.url = url;
    this.#protocol = protocol;
    this.#credentials = credentials;
    this.#properties = properties;
    this._owner = owner;
    this.#options = options;
  }

  /** Whether a message would be sent without much delay. */
  get writable() {
    return this.ready && this.#ws.readyState === 1 && this.#ws.bufferedAmount < MAX_BUFFERED;
  }

  close() {
    this.#closed = true;
    this._drop();
  }

  async _open(expired) {
    const { handshakeTimeout, WebSocket } = this.#options;
    let handshake, ws;
    try {
      await this._owner._load?.();
      handshake = await this.#credentials.begin(this.#properties, expired);
      if (this.#closed) return;
      ws = new WebSocket(this.url, [this.#protocol]);
    } catch (error) {
      if (!this.#closed) this.#failed(error);
      return;
    }
    ws.binaryType = 'arraybuffer';
    this.#ws = ws;
    this._handshake = handshake;
    const guard = (event) => {
      if (this.#ws === ws) this.#guarded(event);
    };
    ws.onopen = () => guard(() => this.#opened());
    ws.onmessage = ({ data }) => guard(() => this._message(data));
    ws.onclose = ({ code, reason }) => guard(() => this._ended(code, reason));
    // Node 22 has no close event after a failed attempt.
    ws.onerror = () => guard(() => this._awaitClose(CLOSE_TIMEOUT, 1006));
    this.#timers.after(handshakeTimeout, () => this._ended(1006, `the login took longer than ${handshakeTimeout} ms`));
  }

  /** Handles credentials that are not available, or a URL that cannot be used. */
  #failed(error) {
    if (error instanceof RefusedError) return this.#refuse(error);
    if (error.name === 'SecurityError') return this.#refuse(new RefusedError(4403, 'the browser does not allow this page to connect to the URL'));
    this.#retry(1006, 'the credentials are not available', error);
  }

  /** Runs an event handler. A ProtocolError that it throws is the server's fault. */
  #guarded(event) {
    try {
      event();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(new RefusedError(error.code, error.message));
    }
  }

  #opened() {
    // If the server selected no subprotocol, Firefox opens with "", Chromium fails.
    if (this.#ws.protocol !== this.#protocol) throw new ProtocolError(`the server does not support ${this.#protocol}`, NOT_ACCEPTABLE);
    this._write(this._greeting());
  }

  _loggedIn() {
    this.#timers.ready();
    const again = this.wasReady;
    this.ready = this.wasReady = true;
    this._owner._ready(this, again);
  }

  /** Handles the announcement that the login expires. Just after a renewal half of the time left can pass first. */
  _expiring(seconds) {
    this._owner._notify(this, 'expiring', { seconds });
    if (this.#renewed) this.#renewLater(this._handshake, seconds);
    else this.#renew(this._handshake, seconds);
  }

  #renewLater(handshake, seconds) {
    const delay = Math.max(seconds * 500, RENEWAL_INTERVAL);
    this.#timers.after(delay, () => this.#renew(handshake, seconds - delay / 1000));
  }

  /**
   * Renews the login if there is a newer token. The issuer may have none until shortly before
   * the old one expires, so it is asked again after half of the time left, and once more when
   * the login has expired.
   */
  async #renew(handshake, seconds) {
    const { token } = this.#credentials, newer = await token?.().catch(() => {});
    if (!token || handshake !== this._handshake || !this.ready) return;
    if (!newer || handshake.hasToken(newer)) {
      if (seconds > 0) this.#renewLater(handshake, seconds);
      return;
    }
    this._write(this._renewal(newer));
    this.#renewed = true;
    this.#timers.after(RENEWAL_INTERVAL, () => { this.#renewed = false; });
  }

  /** Waits up to delay ms for the close event, whose reason may say more. */
  _awaitClose(delay, code = 1005) {
    this.#timers.cancel();
    this.#timers.after(delay, () => this._ended(code, ''));
  }

  /** Handles the end of the WebSocket. status is that of an ERROR command. */
  _ended(code, reason, status) {
    reason ||= reasonOf(code);
    // The page may have a newer token by now, which is worth one more attempt.
    if (isFinal(code) && !(code === EXPIRED && this.#credentials.token)) {
      return this.#refuse(new RefusedError(code, reason, status));
    }
    this.#retry(code, reason);
  }

  #retry(code, reason, cause) {
    const expired = code === EXPIRED ? this._handshake : undefined;
    this._drop();
    const delay = this.#timers.retry(code, reason, this.#options, () => this._open(expired));
    this._owner._disconnected(this, { code, reason, delay, cause });
  }

  #refuse(error) {
    this.close();
    this._owner._refused(this, error);
  }

  /** Closes the current WebSocket. A page can only use 1000 or a code of its own (3000 to 4999). */
  _drop() {
    const ws = this.#ws;
    this.#ws = this._handshake = undefined;
    this.ready = this.#renewed = false;
    this.#timers.cancel();
    ws?.close(1000);
  }

  _write(message) {
    this.#ws.send(message);
  }
}
