// The client's side of one channel of ZWSMUX1.0: messages, credit, notifications.
// SPDX-License-Identifier: MPL-2.0

import { ProtocolError, TOO_LARGE } from './errors.js';
import { Frame, toText } from './frame.js';
import { Fifo } from './queues.js';
import { MAX_CREDIT, command, costOf, credit, message, parseMessages } from './muxframe.js';

const HISTORY = ['marked', 'resumed', 'live']; // ops of channels with a history

/**
 * Carries the messages of a socket to and from the server, on one channel after the other. To
 * the socket they are those of host, whose method _answered is called when the server has opened
 * the channel, _ended when it has closed it, and _write with what is to be sent.
 */
export class Stream {
  /** Whether the server has opened the channel. */
  open = false;
  #host;
  #owner;
  #options;
  #window;
  #number;
  #credit = 0; // bytes that may still be sent
  #waiting = []; // frames that wait for credit: data, and its cost
  #granted = 0; // bytes that the server may still send
  #costs = new Fifo(); // of the received messages that are unread
  #unread = 0; // bytes: the sum of #costs

  constructor(host, owner, options, window) {
    this.#host = host;
    this.#owner = owner;
    this.#options = options;
    this.#window = window;
  }

  /** Whether the server has room. */
  get writable() {
    return this.open && this.#credit > 0;
  }

  /** Bytes that wait for credit. */
  get bufferedAmount() {
    return this.#waiting.reduce((size, { cost }) => size + cost, 0);
  }

  /** Begins a channel and returns the credit that the server has at first. */
  begin(number) {
    this.#number = number;
    this.#granted = Math.max(this.#window - this.#unread, 0);
    return this.#granted;
  }

  /** Ends the channel. Messages that are unread still take room. */
  end() {
    this.open = false;
    this.#credit = 0;
    this.#waiting = [];
  }

  /** Sends a message. The owner calls it only while the channel is open. Subscriptions can wait for credit. */
  send(frames) {
    this.#send({ data: message(this.#number, frames), cost: costOf(frames) });
  }

  /** Sends a command of history.js, in order with the messages. */
  command(name, ...data) {
    this.#send({ data: command(this.#number, name, data), cost: 0 });
  }

  /** Notes that the application has read a message. */
  consumed() {
    this.#unread -= this.#costs.shift() ?? 0;
    this.#grant();
  }

  /** Handles a frame of the server. answer is the op that opens the channel, unless it is the usual one. */
  receive({ op, numbers: [, number, flag], rest }, answer = this.#options.history ? 'opened-history' : 'opened') {
    if (op === 'messages' && this.open) return this.#messages(rest);
    if (op === 'close') return this.#host._ended(number, toText(rest));
    if (this.open === (op === answer)) throw new ProtocolError(`unexpected ${op}: the channel is ${this.open ? 'already' : 'not'} open`);
    if (op === answer) this.#opened(number, flag);
    else if (op === 'credit') this.#receivedCredit(number);
    else if (op === 'lost') this.#owner._notify(this.#host, op, { count: number });
    else if (op === 'unsubscribed') this.#owner._notify(this.#host, op, { topic: new Frame(rest) });
    else if (!this.#options.history || !HISTORY.includes(op)) throw new ProtocolError(`unexpected ${op} on this channel`);
    else if (op === 'marked') this.#messages(rest, []);
    else this.#owner._command(this.#host, op.toUpperCase(), rest);
  }

  #opened(bytes, flag) {
    this.open = true;
    this.#addCredit(bytes);
    this.#grant();
    this.#host._answered(flag);
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

  #messages(rest, marks) {
    let messages;
    try {
      messages = parseMessages(rest, this.#options, marks, this.#granted);
    } catch (error) {
      if (error.code !== TOO_LARGE) throw error;
      return this.#host._ended(error.code, error.message); // the limit is this socket's alone
    }
    messages.forEach((frames, i) => {
      let cost = costOf(frames);
      if (marks) {
        cost += marks[i].length;
        this.#owner._command(this.#host, 'AT', marks[i]);
      }
      this.#granted -= cost;
      this.#unread += cost;
      this.#costs.push(cost);
      if (!this.#owner._received(this.#host, frames)) this.#unread -= this.#costs.pop();
    });
    this.#grant();
  }

  /** Grants the server credit for messages that were read, once it amounts to half of the window. */
  #grant() {
    const room = this.#window - this.#unread - this.#granted;
    if (!this.open || room < this.#window / 2) return;
    this.#granted += room;
    this.#host._write(credit(this.#number, room));
  }

  #send(frame) {
    if (this.#credit <= 0 && (frame.cost || this.#waiting.length)) {
      this.#waiting.push(frame);
      return;
    }
    this.#credit -= frame.cost;
    this.#host._write(frame.data);
  }
}
