// ZWSMUX1.0 (zws/PROTOCOL.md) on a connection of one socket: the login, then one channel.
// SPDX-License-Identifier: MPL-2.0

import { ProtocolError, isFinal } from './errors.js';
import { eachFrame, loginOf, open, ping } from './muxframe.js';
import { Stream } from './stream.js';

const WINDOW = 1 << 20; // bytes that the server may send before the application reads them: enough for 10 MB/s at a distance of 100 ms
const CHANNEL = 1;

/** The state of one WebSocket, and what stays unread after it. link is its Connection. */
export class Single {
  /** Whether the server keeps a history for the socket. */
  history = false;
  #link;
  #mechanism;
  #options;
  #stream;
  #expiring; // seconds that the server has announced before the channel was open
  #accepted = false; // whether the server has accepted the login

  constructor(link, mechanism, options) {
    this.#link = link;
    this.#mechanism = mechanism;
    this.#options = options;
    this.#stream = new Stream(link, link._owner, options, WINDOW);
  }

  get writable() {
    return this.#stream.writable;
  }

  get bufferedAmount() {
    return this.#stream.bufferedAmount;
  }

  send(frames) {
    this.#stream.send(frames);
  }

  command(name, ...data) {
    this.#stream.command(name, ...data);
  }

  consumed() {
    this.#stream.consumed();
  }

  greeting() {
    return loginOf(this.#mechanism, this.#link._handshake.open());
  }

  renewal(token) {
    return loginOf(this.#mechanism, this.#link._handshake.renew(token));
  }

  ping(context) {
    return ping(context);
  }

  message(data) {
    eachFrame(data, this.#link, (frame) => this.#frame(frame));
  }

  #frame(frame) {
    const { op, numbers: [number] } = frame;
    if (op === 'ready') this.#ready();
    else if (!this.#accepted) throw new ProtocolError(`unexpected ${op} before ready`);
    else if (op === 'expiring' && !this.#stream.open) this.#expiring = number;
    else if (op === 'expiring') this.#link._expiring(number);
    else if (op === 'pong') this.#link._pong(frame.rest);
    else if (number !== CHANNEL) throw new ProtocolError(`channel ${number} was never opened`);
    else this.#stream.receive(frame);
  }

  /** Handles the answer to a login. The route is that of the URL, whatever a proxy has made of its path. */
  #ready() {
    if (this.#accepted) return this.#link._owner._notify(this.#link, 'renewed', {});
    this.#accepted = this.#link._answers = true;
    this.#link._write(open(CHANNEL, this.#stream.begin(CHANNEL), '', this.#options));
  }

  /** Handles the channel that the server has opened. */
  opened() {
    const seconds = this.#expiring;
    this.#expiring = undefined;
    if (seconds !== undefined) this.#link._expiring(seconds);
  }

  /** Returns the code, the reason and the status of the end. The status is that of ZWS 2.0's ERROR, which refuses a login. */
  ended(code, reason) {
    const refused = !this.#stream.open && code >= 4300 && isFinal(code);
    return [code, reason, refused ? (code === 4500 ? 500 : 400) : 0];
  }

  end() {
    this.#accepted = false;
    this.#expiring = undefined;
    this.#stream.end();
  }
}
