// The WebSocket to one URL and its login, for every subprotocol: reconnects after a loss and
// renews the login before it expires.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, NOT_ACCEPTABLE, ProtocolError, RefusedError, SocketError, isFinal, reasonOf } from './errors.js';
import { Renewal } from './renewal.js';
import { Timers } from './timers.js';

const MAX_BUFFERED = 1 << 20; // bytes in a WebSocket's buffer at which it counts as busy
const CLOSE_TIMEOUT = 100; // ms between the error and the close event of a WebSocket
const SUSPENDED = 1_000; // ms by which a timer is late if the page was frozen or the device asleep
const HURRY = ['online', 'offline', 'pageshow', 'visibilitychange']; // events of the page after which the connection is worth a look

/**
 * Reconnects until the login is refused for good or the link is closed. It calls its owner's
 * _ready, _notify, _disconnected and _refused. A subclass implements _greeting and _renewal,
 * which return the messages that log in and that renew the login, _ping, which returns a ping
 * with the context, and _message, which handles a received message; _chosen, if there is one, is
 * called with the subprotocol before. Its constructor ends with _open.
 */
export class Link {
  #protocols;
  #credentials;
  #properties;
  #options;
  #ws; // the current WebSocket; events of earlier ones are ignored
  #attempt; // identifies the current attempt
  #expired; // the handshake of a login that has expired
  #renewal;
  #closed = false;
  #timers = new Timers();
  #silence; // the timer that an answer to a ping stops
  #pings = 0;
  #pinged = 0; // when the last ping was sent
  /** The handshake on the current WebSocket. */
  _handshake;
  /** Whether the server answers pings. */
  _answers = false;
  ready = false;
  /** Whether the link has been ready before. */
  wasReady = false;
  /** The time in ms between the last ping and its answer. */
  rtt;

  /** protocols are the subprotocols to offer, properties the metadata of the login. */
  constructor(url, protocols, credentials, properties, owner, options) {
    this.url = url;
    this.#protocols = protocols;
    this.#credentials = credentials;
    this.#properties = properties;
    this._owner = owner;
    this.#options = options;
    this.#renewal = new Renewal(credentials, this.#timers, options.handshakeTimeout, (token) => this._write(this._renewal(token)));
    for (const name of HURRY) globalThis.addEventListener?.(name, this);
  }

  /** Whether a message would be sent without much delay. */
  get writable() {
    return this.ready && this.#ws.readyState === 1 && this.#ws.bufferedAmount < MAX_BUFFERED;
  }

  /** Bytes that wait in the WebSocket. */
  get bufferedAmount() {
    return this.#ws?.bufferedAmount ?? 0;
  }

  close() {
    this.#closed = true;
    for (const name of HURRY) globalThis.removeEventListener?.(name, this);
    this._drop();
  }

  /** Handles an event of the page: the network has come or gone, or the page is shown again. */
  handleEvent({ type }) {
    if (type === 'visibilitychange' && document.hidden) return;
    if (type !== 'offline') this.#timers.hurry();
    this.#check();
  }

  /** Connects again at once. */
  reconnect() {
    const { ready } = this;
    this._drop();
    this.#timers.forget();
    if (ready) this._owner._disconnected(this, { code: 1000, reason: 'reconnecting', delay: 0, cause: undefined });
    if (!this.#closed) this._open();
  }

  async _open() {
    const { handshakeTimeout, WebSocket } = this.#options, attempt = this.#attempt = {};
    this.#timers.after(handshakeTimeout, () => this.#tooLong(handshakeTimeout));
    let handshake, ws;
    try {
      await this._owner._load?.();
      handshake = await this.#credentials.begin(this.#properties, this.#expired);
      if (attempt !== this.#attempt) return;
      ws = new WebSocket(this.url, this.#protocols);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
      return;
    }
    ws.binaryType = 'arraybuffer';
    this.#ws = ws;
    this._handshake = handshake;
    const guard = (event) => {
      if (this.#ws === ws) this.#guarded(event);
    };
    ws.onopen = () => guard(() => this.#opened());
    ws.onmessage = ({ data }) => guard(() => {
      if (this.#silence) this.#heard();
      this._message(data);
    });
    ws.onclose = ({ code, reason }) => guard(() => this._ended(code, reason));
    // Node 22 has no close event after a failed attempt.
    ws.onerror = () => guard(() => this._awaitClose(CLOSE_TIMEOUT, 1006));
  }

  #tooLong(timeout) {
    if (this.#ws) this._ended(1006, `the login took longer than ${timeout} ms`);
    else this.#failed(new SocketError('ETIMEDOUT', `the credentials took longer than ${timeout} ms`));
  }

  /** Handles credentials that are not available, or a URL that cannot be used. */
  #failed(error) {
    if (error instanceof RefusedError) return this.#refuse(error);
    if (error?.name === 'SecurityError') return this.#refuse(new RefusedError(4403, 'the browser does not allow this page to connect to the URL'));
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
    const { protocol } = this.#ws, protocols = this.#protocols;
    if (!protocols.includes(protocol)) throw new ProtocolError(`the server does not support ${protocols.at(-1)}`, NOT_ACCEPTABLE);
    this._chosen?.(protocol);
    this._write(this._greeting());
  }

  _loggedIn() {
    this.#timers.ready();
    this.#renewal.begin(this._handshake);
    const again = this.wasReady;
    this.ready = this.wasReady = true;
    this.#expired = undefined;
    this._owner._ready(this, again);
    if (this.ready) this.#beat();
  }

  /** Sends a ping in each interval. */
  #beat() {
    const { heartbeat } = this.#options;
    if (!heartbeat) return;
    const timer = this.#timers.after(heartbeat.interval, () => {
      this.#check();
      this.#beat();
    });
    timer.unref?.(); // in Node the WebSocket keeps the process alive, or nothing does
  }

  /** Sends a ping, unless one is unanswered. Whatever the server sends is an answer. */
  #check() {
    const { heartbeat } = this.#options;
    if (!this.ready || !this._answers || !heartbeat || this.#silence) return;
    this.#pinged = performance.now();
    this.#silence = this.#timers.after(heartbeat.timeout, () => this.#silent(heartbeat.timeout));
    this._write(this._ping([++this.#pings & 255]));
  }

  #heard() {
    this.#timers.stop(this.#silence);
    this.#silence = undefined;
  }

  #silent(timeout) {
    this.#silence = undefined;
    // After the page was frozen the answer may be there and not delivered yet.
    if (performance.now() - this.#pinged > timeout + SUSPENDED) this.#check();
    else this._ended(1006, `the server did not answer a ping within ${timeout} ms`);
  }

  /** Handles the answer to a ping. */
  _pong([context]) {
    if (context === (this.#pings & 255) && this.#pings) this.rtt = performance.now() - this.#pinged;
  }

  /** Handles the announcement that the login expires. */
  _expiring(seconds) {
    this._owner._notify(this, 'expiring', { seconds });
    this.#renewal.expiring(seconds);
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

  #retry(code, reason, cause = code === EXPIRED ? this.#renewal.failure : undefined) {
    if (this.#options.reconnectInterval < 0) return this.#refuse(new RefusedError(code, reason));
    if (code === EXPIRED) this.#expired = this._handshake;
    this._drop();
    const delay = this.#timers.retry(code, reason, this.#options, () => this._open());
    this._owner._disconnected(this, { code, reason, delay, cause });
  }

  #refuse(error) {
    this.close();
    this._owner._refused(this, error);
  }

  /** Closes the current WebSocket. A page can only use 1000 or a code of its own (3000 to 4999). */
  _drop() {
    const ws = this.#ws;
    this.#ws = this.#attempt = this._handshake = this.#silence = undefined;
    this.ready = false;
    this.#renewal.begin();
    this.#timers.cancel();
    ws?.close(1000);
  }

  _write(message) {
    this.#ws.send(message);
  }
}
