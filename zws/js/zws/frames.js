// The frames of ZWS 2.0 (45/ZWS) on a connection: login, messages and commands.
// SPDX-License-Identifier: MPL-2.0

import { command, parseCommand, parseNumber, parseStatus } from './command.js';
import { NOT_ACCEPTABLE, ProtocolError, TOO_LARGE, checkLimits } from './errors.js';
import { COMMAND, Frame, LAST, MORE, Message, encode, parse, toText } from './frame.js';

// The server's socket types that each type can talk to (23/ZMTP, "Socket Type Property").
const PEERS = {
  SUB: ['PUB', 'XPUB'],
  XSUB: ['PUB', 'XPUB'],
  DEALER: ['REP', 'DEALER', 'ROUTER'],
  REQ: ['REP', 'ROUTER'],
  PUSH: ['PULL'],
  PULL: ['PUSH'],
  PAIR: ['PAIR'],
};

const MAX_COMMAND = 16 << 10; // bytes of a command of the handshake
const CLOSE_TIMEOUT = 1_000; // ms to wait for a close frame after an ERROR

/** The state of one WebSocket. link is its Connection, which calls all methods. */
export class Frames {
  writable = true;
  #link;
  #options;
  #status = 0; // of an ERROR command
  #minor; // ZMTP 3 minor version of the peer behind a relay; -1 without a relay
  #frames = new Message(); // of the message being received
  #size = 0;

  constructor(link, options) {
    this.#link = link;
    this.#options = options;
  }

  /** The ZMTP version of the peer behind a relay, such as '3.1'. */
  get zmtp() {
    return this.#minor >= 0 ? `3.${this.#minor}` : undefined;
  }

  /** Whether the server keeps a history for the socket. */
  get history() {
    return toText(this.#link._handshake.peer.get('history')) === '1';
  }

  send(frames) {
    frames.forEach((body, i) => this.#link._write(this.#link._handshake.encode(i < frames.length - 1 ? MORE : LAST, body)));
  }

  command(name, ...data) {
    this.#link._write(this.#link._handshake.encode(COMMAND, command(name, ...data)));
  }

  greeting() {
    return encode(COMMAND, this.#link._handshake.open());
  }

  renewal(token) {
    return encode(COMMAND, this.#link._handshake.renew(token));
  }

  ping(context) {
    return this.#link._handshake.encode(COMMAND, command('PING', [0, 0], context));
  }

  message(data) {
    const frame = parse(data);
    if (!this.#link._handshake.ready) return this.#login(frame);
    const { flag, body } = this.#link._handshake.decode(frame);
    if (flag === COMMAND) this.#command(body);
    else this.#frame(flag, body);
  }

  /** Returns the code, the reason and the status of the end of the WebSocket. */
  ended(code, reason) {
    const status = this.#status;
    if (status && (code === 1005 || code === 1006)) code = 4000 + status;
    return [code, reason || (status && `the server answered ERROR ${status}`), status];
  }

  end() {}

  #login({ flag, body }) {
    if (flag !== COMMAND) throw new ProtocolError('message before READY');
    if (body.length > MAX_COMMAND) throw new ProtocolError(`command of ${body.length} bytes, want at most ${MAX_COMMAND}`, TOO_LARGE);
    const { name, data } = parseCommand(body);
    if (this.#status) return;
    if (name === 'GREETING' && this.#minor === undefined) {
      this.#minor = parseNumber(data, 1);
      return;
    }
    this.#minor ??= -1;
    if (name === 'ERROR') return this.#error(parseStatus(data));
    const answer = this.#link._handshake.next({ name, data });
    if (answer) this.#link._write(encode(COMMAND, answer));
    if (this.#link._handshake.ready) this.#checkPeer();
  }

  /** Handles ERROR. The bridge sends a close frame with more details after it, libzmq none. */
  #error(status) {
    this.#status = status;
    this.#link._awaitClose(CLOSE_TIMEOUT);
  }

  #checkPeer() {
    const peer = this.#link._handshake.peer.get('socket-type'), { type } = this.#options;
    if (peer && !PEERS[type].includes(toText(peer))) {
      throw new ProtocolError(`socket type ${toText(peer)} of the server does not match ${type}: want ${PEERS[type].join(' or ')}`, NOT_ACCEPTABLE);
    }
    this.#link._answers = this.zmtp >= '3.1' || toText(this.#link._handshake.peer.get('heartbeat')) === '1';
    this.#link._loggedIn();
  }

  #frame(flag, body) {
    this.#size += body.length;
    checkLimits(this.#size, this.#frames.length + 1, this.#options);
    this.#frames[this.#frames.length] = new Frame(body.buffer, body.byteOffset, body.length);
    if (flag === MORE) return;
    const frames = this.#frames;
    this.#frames = new Message();
    this.#size = 0;
    this.#link._owner._received(this.#link, frames);
  }

  #command(body) {
    if (this.#frames.length) throw new ProtocolError('command inside a message');
    const { name, data } = parseCommand(body);
    if (name === 'PING' && this.zmtp) this.command('PONG', data.subarray(2)); // after the time-to-live
    if (name === 'PONG') this.#link._pong(data);
    if (name === 'LOST') this.#link._owner._notify(this.#link, 'lost', { count: parseNumber(data, 8) });
    if (name === 'WELCOME') this.#link._owner._notify(this.#link, 'renewed', {});
    if (name === 'EXPIRING') this.#link._expiring(parseNumber(data, 4));
    this.#link._owner._command?.(this.#link, name, data);
    if (name === 'UNSUBSCRIBED') {
      this.#link._owner._notify(this.#link, 'unsubscribed', { topic: new Frame(data.buffer, data.byteOffset, data.length) });
    }
  }
}
