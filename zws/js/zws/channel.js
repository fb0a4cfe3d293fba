// One route of a Mux for a socket: to its owner, a Socket, it is what a Connection is.
// SPDX-License-Identifier: MPL-2.0

import { EXPIRED, ProtocolError, RefusedError, TOO_LARGE, TOO_MANY, isFinal, reasonOf } from './errors.js';
import { Frame, text } from './frame.js';
import { MAX_CREDIT, close, costOf, credit, message, open, parseMessages } from './muxframe.js';
import { Timers } from './timers.js';

const VERDICT = 1_000; // ms in which a connection ends after the first of its channels

/**
 * Tries until it is refused for good or closed: on the present WebSocket of its Mux, each
 * time by a number of its own, and again on the next one.
 */
export class Channel {
  #mux;
  #route;
  #owner;
  #options;
  #number; // on the present WebSocket, while it is open or asked for
  #credit = 0; // octets that we may still send
  #waiting = []; // messages that wait for credit
  #given = 0; // octets that the server may still send
  #costs = []; // of the messages that came and were not read yet
  #unread = 0; // octets: the sum of them
  #timers = new Timers();
  #closed = false;
  /** How it is asked for, and the op of the answer. */
  _request = open;
  _answer = 'opened';
  ready = false;
  /** Whether it was ready at any time. */
  known = false;

  constructor(mux, url, route, owner, options) {
    this.url = url;
    this.#mux = mux;
    this.#route = route;
    this.#owner = owner;
    this.#options = options;
  }

  /** Whether a message would go out without much delay. */
  get writable() {
    return this.ready && this.#credit > 0 && this.#mux._carrier.writable;
  }

  /** Octets that wait for credit. */
  get bufferedAmount() {
    return this.#waiting.reduce((size, frames) => size + costOf(frames), 0);
  }

  /** Sends a message, for the owner, and only when ready. Subscriptions may have to wait for credit. */
  send(frames) {
    if (this.#credit > 0) this.#write(frames);
    else this.#waiting.push(frames);
  }

  /** The owner's reader has taken one of the messages that came. */
  taken() {
    this.#unread -= this.#costs.shift();
    this.#give();
  }

  close() {
    this.#closed = true;
    this.#drop();
    this.#mux._forget(this);
  }

  // What the Mux calls.

  /** Asks the server for the channel, once the Mux is ready. */
  open() {
    if (this.#closed || this.#number || !this.#mux.ready) return;
    this.#timers.cancel();
    this.#number = this.#mux._number(this);
    if (!this.#number) return this.#ended(TOO_MANY, 'the server takes no more channels');
    this.#given = Math.max(this.#mux._window - this.#unread, 0);
    this.#mux._carrier._write(this._request(this.#number, this.#given, this.#route, this.#options));
    this.#timers.after(this.#options.handshakeTimeout, () => this.#ended(1006, 'not opened in time'));
  }

  /** Reads a frame of the server. */
  take({ op, numbers: [, number], rest }) {
    if (op === 'close') return this.#ended(number, text(rest));
    if (this.ready === (op === this._answer)) throw new ProtocolError(`${op} is not due`);
    if (op === this._answer) this.#opened(number);
    else if (op === 'credit') this.#credited(number);
    else if (op === 'messages') this.#arrived(rest);
    else if (op === 'lost') this.notice(op, { count: number });
    else if (op === 'unsubscribed') this.notice(op, { topic: new Frame(rest) });
    else throw new ProtocolError(`${op} is not for this channel`);
  }

  notice(name, event) {
    this.#owner._notice(this, name, event);
  }

  /** The connection is lost, and tried again. */
  parted(event) {
    this.#drop();
    this.#owner._parted(this, event);
  }

  /** The Mux is closed. */
  disconnect() {
    this.#owner.disconnect(this);
  }

  refused(error) {
    if (this.#closed) return;
    this.close();
    this.#owner._refused(this, error);
  }

  #opened(octets) {
    this.#timers.ready();
    const again = this.known;
    this.ready = this.known = true;
    this.#grant(octets);
    this.#give();
    this.#owner._ready(this, again);
  }

  #grant(octets) {
    this.#credit += octets;
    if (this.#credit > MAX_CREDIT) throw new ProtocolError('too much credit');
  }

  #credited(octets) {
    this.#grant(octets);
    while (this.#credit > 0 && this.#waiting.length) this.#write(this.#waiting.shift());
    this.#owner._writable();
  }

  #arrived(rest) {
    let messages;
    try {
      messages = parseMessages(rest, this.#options);
    } catch (error) {
      if (error.code !== TOO_LARGE) throw error;
      return this.#ended(error.code, error.message); // a limit of this socket alone
    }
    for (const frames of messages) {
      if (this.#given <= 0) throw new ProtocolError('a message without credit');
      const cost = costOf(frames);
      this.#given -= cost;
      this.#unread += cost;
      this.#costs.push(cost);
      if (!this.#owner._arrived(this, frames)) this.#unread -= this.#costs.pop();
    }
    this.#give();
  }

  /** Gives credit for what was read, once that is half of the window. */
  #give() {
    const window = this.#mux._window, room = window - this.#unread - this.#given;
    if (!this.ready || room < window / 2) return;
    this.#given += room;
    this.#mux._carrier._write(credit(this.#number, room));
  }

  #write(frames) {
    this.#credit -= costOf(frames);
    this.#mux._carrier._write(message(this.#number, frames));
  }

  /** The server has closed the channel, or it is given up. */
  #ended(code, reason) {
    reason ||= reasonOf(code);
    this.#drop(code === TOO_LARGE ? code : 1000);
    const error = new RefusedError(code, reason);
    // Where the login has ended, the connection says so too, and may have a newer token.
    if (code === EXPIRED) return this.#timers.after(VERDICT, () => this.refused(error));
    if (isFinal(code)) return this.refused(error);
    const delay = this.#timers.retry(code, this.#options, () => this.open());
    this.#owner._parted(this, { code, reason, delay, cause: undefined });
  }

  /** Lets the present number go, and tells the server unless it knows. */
  #drop(code = 1000) {
    if (this.#mux._leave(this.#number)) this.#mux._carrier._write(close(this.#number, code));
    this.#number = undefined;
    this.#credit = 0;
    this.#waiting = [];
    this.ready = false;
    this.#timers.cancel();
  }
}
