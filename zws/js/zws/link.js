// The WebSocket to one URL and the login on it, whatever the subprotocol: tried again when it
// is lost, and renewed before it ends.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, NOT_TAKEN, ProtocolError, RefusedError, isFinal, reasonOf } from './errors.js';
import { Timers } from './timers.js';

const MAX_BUFFERED = 1 << 20; // octets that a WebSocket may hold back before others get their turn
const RENEWAL = 1_500; // ms: the bridge takes a new token once a second at most

/**
 * Tries until it is refused for good or closed. What happens is told to its owner: _ready,
 * _notice, _parted, _refused. A subprotocol adds _greeting and _renewal, which make the
 * messages that log in and that renew the login, and _message, which reads a message.
 */
export class Link {
  #protocol;
  #credentials;
  #properties;
  #options;
  #ws; // the present WebSocket; events of any other are late
  #renewed = false; // just now
  #closed = false;
  #timers = new Timers();
  /** Of the present WebSocket. */
  _handshake;
  ready = false;
  /** Whether it was ready at any time. */
  known = false;

  /** properties are the metadata of the login. The subclass opens it once it is made. */
  constructor(url, protocol, credentials, properties, owner, options) {
    this.url = url;
    this.#protocol = protocol;
    this.#credentials = credentials;
    this.#properties = properties;
    this._owner = owner;
    this.#options = options;
  }

  /** Whether a message would go out without much delay. */
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
    ws.onerror = () => {}; // onclose follows, and knows more
    this.#timers.after(handshakeTimeout, () => this._ended(1006, 'the login did not end in time'));
  }

  /** The credentials cannot be had, or the URL cannot be used. */
  #failed(error) {
    if (error instanceof RefusedError) return this.#refused(error);
    if (error.name === 'SecurityError') return this.#refused(new RefusedError(4403, 'this page may not connect there'));
    this.#retry(1006, 'the credentials could not be had', error);
  }

  /** What throws here is the server's fault. */
  #guarded(event) {
    try {
      event();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refused(new RefusedError(error.code, error.message));
    }
  }

  #opened() {
    // Firefox opens with "" where the server has taken none; Chromium does not open.
    if (this.#ws.protocol !== this.#protocol) throw new ProtocolError(`the server does not speak ${this.#protocol}`, NOT_TAKEN);
    this._write(this._greeting());
  }

  _loggedIn() {
    this.#timers.ready();
    const again = this.known;
    this.ready = this.known = true;
    this._owner._ready(this, again);
  }

  /** A token that was taken just now and is about to end has half of its life still. */
  _expiring(seconds) {
    this._owner._notice(this, 'expiring', { seconds });
    if (this.#renewed) this.#renewLater(this._handshake, seconds);
    else this.#renew(this._handshake, seconds);
  }

  #renewLater(handshake, seconds) {
    const delay = Math.max(seconds * 500, RENEWAL);
    this.#timers.after(delay, () => this.#renew(handshake, seconds - delay / 1000));
  }

  /**
   * Who gives out tokens may have no newer one before the old one is nearly over: then it is
   * asked for again after half of the time that is left, and once more when the login has ended.
   */
  async #renew(handshake, seconds) {
    const { token } = this.#credentials, newer = await token?.().catch(() => {});
    if (!token || handshake !== this._handshake || !this.ready) return;
    if (!newer || handshake.carries(newer)) {
      if (seconds > 0) this.#renewLater(handshake, seconds);
      return;
    }
    this._write(this._renewal(newer));
    this.#renewed = true;
    this.#timers.after(RENEWAL, () => { this.#renewed = false; });
  }

  /** Waits for nothing but a close frame any more, which may say why. */
  _expectEnd(delay) {
    this.#timers.cancel();
    this.#timers.after(delay, () => this._ended(1005, ''));
  }

  /** The WebSocket is closed, or is given up. status is that of an ERROR. */
  _ended(code, reason, status) {
    reason ||= reasonOf(code);
    // A login that may have a newer token is worth one more try.
    if (isFinal(code) && !(code === EXPIRED && this.#credentials.token)) {
      return this.#refused(new RefusedError(code, reason, status));
    }
    this.#retry(code, reason);
  }

  #retry(code, reason, cause) {
    const expired = code === EXPIRED ? this._handshake : undefined;
    this._drop();
    const delay = this.#timers.retry(code, this.#options, () => this._open(expired));
    this._owner._parted(this, { code, reason, delay, cause });
  }

  #refused(error) {
    this.close();
    this._owner._refused(this, error);
  }

  /** Lets the present WebSocket go. A page can close with 1000 only, or with its own codes. */
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
