// One route of a Mux for a socket. To its owner, a Socket, it looks like a Connection.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, ProtocolError, RefusedError, TOO_LARGE, TOO_MANY, isFinal, reasonOf } from './errors.js';
import { Frame, toText } from './frame.js';
import { MAX_CREDIT, close, costOf, credit, message, open, parseMessages } from './muxframe.js';
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
  #number; // on the current WebSocket, while the channel is open or being opened
  #credit = 0; // bytes that may still be sent
  #waiting = []; // messages that wait for credit
  #granted = 0; // bytes that the server may still send
  #costs = []; // of the received messages that are unread
  #unread = 0; // bytes: the sum of #costs
  #timers = new Timers();
  #closed = false;
  /** Encodes the request that opens the channel; _answer is the op of the answer. */
  _request = open;
  _answer = 'opened';
  ready = false;
  /** Whether the channel has been ready before. */
  wasReady = false;

  constructor(mux, url, route, owner, options) {
    this.url = url;
    this.#mux = mux;
    this.#route = route;
    this.#owner = owner;
    this.#options = options;
  }

  /** Whether a message would be sent without much delay. */
  get writable() {
    return this.ready && this.#credit > 0 && this.#mux._link.writable;
  }

  /** Bytes that wait for credit. */
  get bufferedAmount() {
    return this.#waiting.reduce((size, frames) => size + costOf(frames), 0);
  }

  /** Sends a message. The owner calls it only while the channel is ready. Subscriptions can wait for credit. */
  send(frames) {
    if (this.#credit > 0) this.#write(frames);
    else this.#waiting.push(frames);
  }

  /** Notes that the application has read a message. */
  _consumed() {
    this.#unread -= this.#costs.shift();
    this.#grant();
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
    this.#timers.cancel();
    this.#number = this.#mux._assignNumber(this);
    if (!this.#number) return this.#ended(TOO_MANY, 'the server allows no more channels on this connection');
    this.#granted = Math.max(this.#mux._window - this.#unread, 0);
    this.#mux._link._write(this._request(this.#number, this.#granted, this.#route, this.#options));
    const { handshakeTimeout } = this.#options;
    this.#timers.after(handshakeTimeout, () => this.#ended(1006, `opening the channel took longer than ${handshakeTimeout} ms`));
  }

  /** Handles a frame of the server. */
  receive({ op, numbers: [, number], rest }) {
    if (op === 'close') return this.#ended(number, toText(rest));
    if (this.ready === (op === this._answer)) throw new ProtocolError(`unexpected ${op}: the channel is ${this.ready ? 'already' : 'not'} open`);
    if (op === this._answer) this.#opened(number);
    else if (op === 'credit') this.#receivedCredit(number);
    else if (op === 'messages') this.#receivedMessages(rest);
    else if (op === 'lost') this.notify(op, { count: number });
    else if (op === 'unsubscribed') this.notify(op, { topic: new Frame(rest) });
    else throw new ProtocolError(`unexpected ${op} on this channel`);
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

  #opened(credit) {
    this.#timers.ready();
    const again = this.wasReady;
    this.ready = this.wasReady = true;
    this.#addCredit(credit);
    this.#grant();
    this.#owner._ready(this, again);
  }

  #addCredit(bytes) {
    this.#credit += bytes;
    if (this.#credit > MAX_CREDIT) throw new ProtocolError(`credit of ${this.#credit} bytes, want at most ${MAX_CREDIT}`);
  }

  #receivedCredit(bytes) {
    this.#addCredit(bytes);
    while (this.#credit > 0 && this.#waiting.length) this.#write(this.#waiting.shift());
    this.#owner._writable();
  }

  #receivedMessages(rest) {
    let messages;
    try {
      messages = parseMessages(rest, this.#options);
    } catch (error) {
      if (error.code !== TOO_LARGE) throw error;
      return this.#ended(error.code, error.message); // the limit is this socket's alone
    }
    for (const frames of messages) {
      if (this.#granted <= 0) throw new ProtocolError('message without credit');
      const cost = costOf(frames);
      this.#granted -= cost;
      this.#unread += cost;
      this.#costs.push(cost);
      if (!this.#owner._received(this, frames)) this.#unread -= this.#costs.pop();
    }
    this.#grant();
  }

  /** Grants the server credit for messages that were read, once it amounts to half of the window. */
  #grant() {
    const window = this.#mux._window, room = window - this.#unread - this.#granted;
    if (!this.ready || room < window / 2) return;
    this.#granted += room;
    this.#mux._link._write(credit(this.#number, room));
  }

  #write(frames) {
    this.#credit -= costOf(frames);
    this.#mux._link._write(message(this.#number, frames));
  }

  /** Handles the end of the channel, by the server or by a fault or timeout here. */
  #ended(code, reason) {
    reason ||= reasonOf(code);
    this.#drop(code === TOO_LARGE ? code : 1000);
    const error = new RefusedError(code, reason);
    // If the login has expired, the whole connection ends, and may come back with a newer token.
    if (code === EXPIRED) return this.#timers.after(EXPIRY_GRACE, () => this.refused(error));
    if (isFinal(code)) return this.refused(error);
    const delay = this.#timers.retry(code, reason, this.#options, () => this.open());
    this.#owner._disconnected(this, { code, reason, delay, cause: undefined });
  }

  /** Gives up the current number, and sends close if the server still has the channel. */
  #drop(code = 1000) {
    if (this.#mux._releaseNumber(this.#number)) this.#mux._link._write(close(this.#number, code));
    this.#number = undefined;
    this.#credit = 0;
    this.#waiting = [];
    this.ready = false;
    this.#timers.cancel();
  }
}
