// One route of a Mux for a socket. To its owner, a Socket, it looks like a Connection.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, ProtocolError, RefusedError, TOO_LARGE, TOO_MANY, isFinal, reasonOf } from './errors.js';
import { Frame, toText } from './frame.js';
import { MAX_CREDIT, close, command, costOf, credit, message, open, parseMessages } from './muxframe.js';
import { Timers } from './timers.js';

const HISTORY = ['marked', 'resumed', 'live']; // ops of channels with a history
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
  #waiting = []; // frames that wait for credit: data, and its cost
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
    if (options.history) this._answer = 'opened-history';
  }

  /** Whether a message would be sent without much delay. */
  get writable() {
    return this.ready && this.#credit > 0 && this.#mux._link.writable;
  }

  /** Bytes that wait for credit. */
  get bufferedAmount() {
    return this.#waiting.reduce((size, { cost }) => size + cost, 0);
  }

  /** Sends a message. The owner calls it only while the channel is ready. Subscriptions can wait for credit. */
  send(frames) {
    this.#send({ data: message(this.#number, frames), cost: costOf(frames) });
  }

  /** Sends a command of history.js, in order with the messages. */
  command(name, ...data) {
    this.#send({ data: command(this.#number, name, data), cost: 0 });
  }

  /** Notes that the application has read a message. */
  _consumed() {
    this.#unread -= this.#costs.shift();
    this.#grant();
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
      loading.then(() => this.open(), (cause) => this.#closed || this.#ended(1006, 'a module is not available', cause));
      return;
    }
    this.#timers.cancel();
    this.#number = this.#mux._assignNumber(this);
    if (!this.#number) return this.#ended(TOO_MANY, 'the server allows no more channels on this connection');
    this.#granted = Math.max(this.#mux._window - this.#unread, 0);
    this.#mux._link._write(this._request(this.#number, this.#granted, this.#route, this.#options));
    const { handshakeTimeout } = this.#options;
    this.#timers.after(handshakeTimeout, () => this.#ended(1006, `opening the channel took longer than ${handshakeTimeout} ms`));
  }

  /** Handles a frame of the server. */
  receive({ op, numbers: [, number, flag], rest }) {
    if (op === 'close') return this.#ended(number, toText(rest));
    if (this.ready === (op === this._answer)) throw new ProtocolError(`unexpected ${op}: the channel is ${this.ready ? 'already' : 'not'} open`);
    if (op === this._answer) this.#opened(number, flag);
    else if (op === 'credit') this.#receivedCredit(number);
    else if (op === 'messages') this.#receivedMessages(rest);
    else if (op === 'lost') this.notify(op, { count: number });
    else if (op === 'unsubscribed') this.notify(op, { topic: new Frame(rest) });
    else if (!this.#options.history || !HISTORY.includes(op)) throw new ProtocolError(`unexpected ${op} on this channel`);
    else if (op === 'marked') this.#receivedMessages(rest, []);
    else this.#owner._command(this, op.toUpperCase(), rest);
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

  #opened(credit, flag) {
    this.#timers.ready();
    this.history = flag === 1;
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
    while (this.#credit > 0 && this.#waiting.length) this.#send(this.#waiting.shift());
    this.#owner._writable();
  }

  #receivedMessages(rest, marks) {
    let messages;
    try {
      messages = parseMessages(rest, this.#options, marks);
    } catch (error) {
      if (error.code !== TOO_LARGE) throw error;
      return this.#ended(error.code, error.message); // the limit is this socket's alone
    }
    messages.forEach((frames, i) => {
      if (this.#granted <= 0) throw new ProtocolError('message without credit');
      let cost = costOf(frames);
      if (marks) {
        cost += marks[i].length;
        this.#owner._command(this, 'AT', marks[i]);
      }
      this.#granted -= cost;
      this.#unread += cost;
      this.#costs.push(cost);
      if (!this.#owner._received(this, frames)) this.#unread -= this.#costs.pop();
    });
    this.#grant();
  }

  /** Grants the server credit for messages that were read, once it amounts to half of the window. */
  #grant() {
    const window = this.#mux._window, room = window - this.#unread - this.#granted;
    if (!this.ready || room < window / 2) return;
    this.#granted += room;
    this.#mux._link._write(credit(this.#number, room));
  }

  #send(frame) {
    if (this.#credit <= 0 && (frame.cost || this.#waiting.length)) {
      this.#waiting.push(frame);
      return;
    }
    this.#credit -= frame.cost;
    this.#mux._link._write(frame.data);
  }

  /** Handles the end of the channel, by the server or by a fault or timeout here. */
  #ended(code, reason, cause) {
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
    if (this.#mux._releaseNumber(this.#number)) this.#mux._link._write(close(this.#number, code));
    this.#number = undefined;
    this.#credit = 0;
    this.#waiting = [];
    this.ready = false;
    this.#timers.cancel();
  }
}
