// One route of a Mux for a socket. To its owner, a Socket, it looks like a Connection.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, RefusedError, TOO_LARGE, TOO_MANY, isFinal, reasonOf } from './errors.js';
import { close, open } from './muxframe.js';
import { Stream } from './stream.js';
import { Timers } from './timers.js';

const EXPIRY_GRACE = 1_000; // ms in which the whole connection ends after one of its channels has expired

/**
 * Opens the channel, and opens it again until it is refused for good or closed: on the current
 * WebSocket of its Mux, each time with a new number, and on the next one after a reconnect.
 */
export class Channel {
  #mux;
  #route;
  #owner;
  #options;
  #stream;
  #number; // on the current WebSocket, while the channel is open or being opened
  #timers = new Timers();
  #closed = false;
  /** Encodes the request that opens the channel. */
  _request = open;
  /** The op of the answer, unless it is the usual one. */
  _answer;
  ready = false;
  /** Whether the channel has been ready before. */
  wasReady = false;

  constructor(mux, url, route, owner, options) {
    this.url = url;
    this.#mux = mux;
    this.#route = route;
    this.#owner = owner;
    this.#options = options;
    this.#stream = new Stream(this, owner, options, mux._window);
  }

  /** Whether a message would be sent without much delay. */
  get writable() {
    return this.#stream.writable && this.#mux._link.writable;
  }

  /** Bytes that wait for credit or in the WebSocket. */
  get bufferedAmount() {
    return this.#stream.bufferedAmount + this.#mux._link.bufferedAmount;
  }

  /** Sends a message. The owner calls it only while the channel is ready. */
  send(frames) {
    this.#stream.send(frames);
  }

  /** Sends a command of history.js, in order with the messages. */
  command(name, ...data) {
    this.#stream.command(name, ...data);
  }

  /** Notes that the application has read a message. */
  _consumed() {
    this.#stream.consumed();
  }

  /** Opens the channel again at once, and the connection if it is waiting. */
  reconnect() {
    const { ready } = this;
    this.#drop();
    this.#timers.forget();
    if (ready) this.#owner._disconnected(this, { code: 1000, reason: 'reconnecting', delay: 0, cause: undefined });
    if (this.#closed) return;
    if (this.#mux.ready) this.open();
    else this.#mux._link.reconnect();
  }

  close() {
    this.#closed = true;
    this.#drop();
    this.#mux._forget(this);
  }

  // Called by the Mux.

  /** Asks the server for the channel, if the Mux is ready. */
  open() {
    if (this.#closed || this.#number || !this.#mux.ready) return;
    const loading = this.#owner._load?.();
    if (loading) {
      loading.then(() => this.open(), (cause) => this.#closed || this._ended(1006, 'a module is not available', cause));
      return;
    }
    this.#timers.cancel();
    this.#number = this.#mux._assignNumber(this);
    if (!this.#number) return this._ended(TOO_MANY, 'the server allows no more channels on this connection');
    this._write(this._request(this.#number, this.#stream.begin(this.#number), this.#route, this.#options));
    const { handshakeTimeout } = this.#options;
    this.#timers.after(handshakeTimeout, () => this._ended(1006, `opening the channel took longer than ${handshakeTimeout} ms`));
  }

  /** Handles a frame of the server. */
  receive(frame) {
    this.#stream.receive(frame, this._answer);
  }

  notify(name, event) {
    this.#owner._notify(this, name, event);
  }

  /** Handles the loss of the connection, which the Mux makes again. */
  disconnected(event) {
    this.#drop();
    this.#owner._disconnected(this, event);
  }

  /** Handles the end of the Mux. */
  disconnect() {
    this.#owner.disconnect(this);
  }

  refused(error) {
    if (this.#closed) return;
    this.close();
    this.#owner._refused(this, error);
  }

  // Called by the stream.

  _answered(flag) {
    this.#timers.ready();
    this.history = flag === 1;
    const again = this.wasReady;
    this.ready = this.wasReady = true;
    this.#owner._ready(this, again);
  }

  _write(data) {
    this.#mux._link._write(data);
  }

  /** Handles the end of the channel, by the server or by a fault or timeout here. */
  _ended(code, reason, cause) {
    reason ||= reasonOf(code);
    this.#drop(code === TOO_LARGE ? code : 1000);
    const error = new RefusedError(code, reason);
    // If the login has expired, the whole connection ends, and may come back with a newer token.
    if (code === EXPIRED) return this.#timers.after(EXPIRY_GRACE, () => this.refused(error));
    if (isFinal(code) || this.#options.reconnectInterval < 0) return this.refused(error);
    const delay = this.#timers.retry(code, reason, this.#options, () => this.open());
    this.#owner._disconnected(this, { code, reason, delay, cause });
  }

  /** Gives up the current number, and sends close if the server still has the channel. */
  #drop(code = 1000) {
    if (this.#mux._releaseNumber(this.#number)) this._write(close(this.#number, code));
    this.#number = undefined;
    this.#stream.end();
    this.ready = false;
    this.#timers.cancel();
  }
}
