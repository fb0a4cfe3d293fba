// One URL of a socket: the WebSocket, the login on it, and another one when it is lost.
// SPDX-License-Identifier: MPL-2.0

import { parseCommand, parseNumber, parseStatus } from './command.js';
import { EXPIRED, NOT_TAKEN, ProtocolError, RefusedError, TOO_MANY, codeOfStatus, isFinal, reasonOf } from './errors.js';
import { COMMAND, Frame, LAST, MORE, encode, parse, text } from './frame.js';

// What a server may have socket types for (23/ZMTP, "Socket Type Property").
const PEERS = {
  SUB: ['PUB', 'XPUB'],
  XSUB: ['PUB', 'XPUB'],
  DEALER: ['REP', 'DEALER', 'ROUTER'],
  REQ: ['REP', 'ROUTER'],
  PUSH: ['PULL'],
  PULL: ['PUSH'],
  PAIR: ['PAIR'],
};

const MAX_COMMAND = 16 << 10; // octets of a command
const MAX_BUFFERED = 1 << 20; // octets that a WebSocket may hold back before others get their turn
const STEADY = 10_000; // ms: a connection that lived so long was a good one
const RENEWAL = 1_500; // ms: the bridge takes a new token once a second at most
const REASON = 1_000; // ms in which a close frame may follow an ERROR

/**
 * Tries until it is refused for good or closed. What happens is told to its owner, a
 * Socket: ready, arrived, notice, parted, refused.
 */
export class Connection {
  #owner;
  #options;
  #credentials;
  #ws; // the present WebSocket; events of any other are late
  #handshake;
  #status = 0; // of the ERROR that came
  #frames = []; // of the message that is being received
  #size = 0;
  #renewed = false; // just now
  #failures = 0; // since a connection was steady
  #timers = new Set();
  #closed = false;
  ready = false;
  /** Whether it was ready at any time. */
  known = false;

  constructor(url, credentials, owner, options) {
    this.url = url;
    this.#credentials = credentials;
    this.#owner = owner;
    this.#options = options;
    this.#open();
  }

  /** Whether a message would go out without much delay. */
  get writable() {
    return this.ready && this.#ws.readyState === 1 && this.#ws.bufferedAmount < MAX_BUFFERED;
  }

  /** Sends all frames of one message; for the owner, and only when ready. */
  send(frames) {
    frames.forEach((body, i) => this.#write(this.#handshake.encode(i < frames.length - 1 ? MORE : LAST, body)));
  }

  close() {
    this.#closed = true;
    this.#drop();
  }

  async #open(expired) {
    const { type, routingId, handshakeTimeout, WebSocket } = this.#options;
    const properties = [['Socket-Type', type], ['Notices', '1']];
    if (routingId.length) properties.push(['Identity', routingId]);
    let handshake, ws;
    try {
      handshake = await this.#credentials.begin(properties, expired);
      if (this.#closed) return;
      ws = new WebSocket(this.url, [`ZWS2.0+${this.#credentials.mechanism}`]);
    } catch (error) {
      if (!this.#closed) this.#failed(error);
      return;
    }
    ws.binaryType = 'arraybuffer';
    this.#ws = ws;
    this.#handshake = handshake;
    const guard = (event) => {
      if (this.#ws === ws) this.#guarded(event);
    };
    ws.onopen = () => guard(() => this.#opened());
    ws.onmessage = ({ data }) => guard(() => this.#message(data));
    ws.onclose = ({ code, reason }) => guard(() => this.#ended(code, reason));
    ws.onerror = () => {}; // onclose follows, and knows more
    this.#after(handshakeTimeout, () => this.#ended(1006, 'the login did not end in time'));
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
    const name = `ZWS2.0+${this.#credentials.mechanism}`;
    // Firefox opens with "" where the server has taken none; Chromium does not open.
    if (this.#ws.protocol !== name) throw new ProtocolError(`the server does not speak ${name}`, NOT_TAKEN);
    this.#write(encode(COMMAND, this.#handshake.open()));
  }

  #message(data) {
    const frame = parse(data);
    if (!this.#handshake.ready) return this.#login(frame);
    const { flag, body } = this.#handshake.decode(frame);
    if (flag === COMMAND) this.#notice(body);
    else this.#frame(flag, body);
  }

  #login({ flag, body }) {
    if (flag !== COMMAND) throw new ProtocolError('a message before READY');
    if (body.length > MAX_COMMAND) throw new ProtocolError('a command that is too long', 1009);
    const { name, data } = parseCommand(body);
    if (this.#status) return;
    if (name === 'ERROR') return this.#error(parseStatus(data));
    const answer = this.#handshake.next({ name, data });
    if (answer) this.#write(encode(COMMAND, answer));
    if (this.#handshake.ready) this.#loggedIn();
  }

  /** The close frame that follows says more; libzmq sends none. */
  #error(status) {
    this.#status = status;
    this.#cancel();
    this.#after(REASON, () => this.#ended(1005, ''));
  }

  #loggedIn() {
    const theirs = this.#handshake.peer.get('socket-type'), { type } = this.#options;
    if (theirs && !PEERS[type].includes(text(theirs))) {
      throw new ProtocolError(`a ${type} socket cannot talk to the server's ${text(theirs)}`, NOT_TAKEN);
    }
    this.#cancel();
    this.#after(STEADY, () => { this.#failures = 0; });
    const again = this.known;
    this.ready = this.known = true;
    this.#owner._ready(this, again);
  }

  #frame(flag, body) {
    const { maxMessageSize, maxFrames } = this.#options;
    this.#size += body.length;
    if (this.#size > maxMessageSize) throw new ProtocolError(`a message of more than ${maxMessageSize} octets`, 1009);
    if (this.#frames.length === maxFrames) throw new ProtocolError(`a message of more than ${maxFrames} frames`, 1009);
    this.#frames.push(new Frame(body.buffer, body.byteOffset, body.length));
    if (flag === MORE) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#size = 0;
    this.#owner._arrived(this, frames);
  }

  #notice(body) {
    if (this.#frames.length) throw new ProtocolError('a command inside a message');
    const { name, data } = parseCommand(body);
    if (name === 'LOST') this.#owner._notice(this, 'lost', { count: parseNumber(data, 8) });
    if (name === 'WELCOME') this.#owner._notice(this, 'renewed', {});
    if (name === 'EXPIRING') {
      this.#expiring(parseNumber(data, 4));
    }
  }

  /** A token that was taken just now and is about to end has half of its life still. */
  #expiring(seconds) {
    this.#owner._notice(this, 'expiring', { seconds });
    const handshake = this.#handshake;
    if (!this.#renewed) this.#renew(handshake);
    else this.#after(Math.max(seconds * 500, RENEWAL), () => this.#renew(handshake));
  }

  /** Without a newer token the login ends when it ends; then a new one is asked for again. */
  async #renew(handshake) {
    const token = await this.#credentials.token?.().catch(() => {});
    if (!token || handshake !== this.#handshake || !this.ready || handshake.carries(token)) return;
    this.#write(encode(COMMAND, handshake.renew(token)));
    this.#renewed = true;
    this.#after(RENEWAL, () => { this.#renewed = false; });
  }

  /** The WebSocket is closed, or is given up. */
  #ended(code, reason) {
    const status = this.#status;
    if (status && (code === 1005 || code === 1006)) code = codeOfStatus(status);
    reason ||= status ? `the server answered ${status}` : reasonOf(code);
    // A login that may have a newer token is worth one more try.
    if (isFinal(code) && !(code === EXPIRED && this.#credentials.token)) {
      return this.#refused(new RefusedError(code, reason, status));
    }
    this.#retry(code, reason);
  }

  #retry(code, reason, cause) {
    const expired = code === EXPIRED ? this.#handshake : undefined;
    const { reconnectInterval, reconnectMaxInterval } = this.#options;
    this.#drop();
    const longest = code === TOO_MANY ? reconnectMaxInterval : reconnectInterval * 2 ** this.#failures++;
    // Between a half and the whole of it, so that clients that were lost together do not
    // come back together.
    const delay = Math.round(Math.min(longest, reconnectMaxInterval) * (0.5 + Math.random() / 2));
    this.#after(delay, () => this.#open(expired));
    this.#owner._parted(this, { code, reason, delay, cause });
  }

  #refused(error) {
    this.close();
    this.#owner._refused(this, error);
  }

  /** Lets the present WebSocket go. A page can close with 1000 only, or with its own codes. */
  #drop() {
    const ws = this.#ws;
    this.#ws = this.#handshake = undefined;
    this.ready = this.#renewed = false;
    this.#status = this.#size = 0;
    this.#frames = [];
    this.#cancel();
    ws?.close(1000);
  }

  #write(message) {
    this.#ws.send(message);
  }

  #after(delay, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delay);
    this.#timers.add(timer);
  }

  #cancel() {
    this.#timers.forEach(clearTimeout);
    this.#timers.clear();
  }
}
