// A connection of its own to one URL: login and messages of ZWS 2.0 (45/ZWS).
// SPDX-License-Identifier: MPL-2.0

import { command, parseCommand, parseNumber, parseStatus } from './command.js';
import { NOT_ACCEPTABLE, ProtocolError, TOO_LARGE, codeOfStatus } from './errors.js';
import { COMMAND, Frame, LAST, MORE, encode, parse, toText } from './frame.js';
import { Link } from './link.js';

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

/** Calls its owner's _received and _notify, and what Link calls. */
export class Connection extends Link {
  #options;
  #status = 0; // of an ERROR command
  #minor; // ZMTP 3 minor version of the peer behind a relay; -1 without a relay
  #frames = []; // of the message being received
  #size = 0;

  constructor(url, credentials, owner, options) {
    const { type, routingId, history, queue } = options, properties = [['Socket-Type', type], ['Notices', '1']];
    if (routingId.length) properties.push(['Identity', routingId]);
    if (history) properties.push(['History', '1']);
    if (queue !== undefined) properties.push(['Queue', queue]);
    super(url, `ZWS2.0+${credentials.mechanism}`, credentials, properties, owner, options);
    this.#options = options;
    this._open();
  }

  /** Sends all frames of one message. The owner calls it only while the connection is ready. */
  send(frames) {
    frames.forEach((body, i) => this._write(this._handshake.encode(i < frames.length - 1 ? MORE : LAST, body)));
  }

  /** The ZMTP version of the peer behind a relay, such as '3.1'. */
  get zmtp() {
    return this.#minor >= 0 ? `3.${this.#minor}` : undefined;
  }

  /** Sends a command between messages. The owner calls it only while the connection is ready. */
  command(name, ...data) {
    this._write(this._handshake.encode(COMMAND, command(name, ...data)));
  }

  _greeting() {
    return encode(COMMAND, this._handshake.open());
  }

  _renewal(token) {
    return encode(COMMAND, this._handshake.renew(token));
  }

  _ping(context) {
    return this._handshake.encode(COMMAND, command('PING', [0, 0], context));
  }

  _message(data) {
    const frame = parse(data);
    if (!this._handshake.ready) return this.#login(frame);
    const { flag, body } = this._handshake.decode(frame);
    if (flag === COMMAND) this.#command(body);
    else this.#frame(flag, body);
  }

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
    const answer = this._handshake.next({ name, data });
    if (answer) this._write(encode(COMMAND, answer));
    if (this._handshake.ready) this.#checkPeer();
  }

  /** Handles ERROR. The bridge sends a close frame with more details after it, libzmq none. */
  #error(status) {
    this.#status = status;
    this._awaitClose(CLOSE_TIMEOUT);
  }

  #checkPeer() {
    const peer = this._handshake.peer.get('socket-type'), { type } = this.#options;
    if (peer && !PEERS[type].includes(toText(peer))) {
      throw new ProtocolError(`socket type ${toText(peer)} of the server does not match ${type}: want ${PEERS[type].join(' or ')}`, NOT_ACCEPTABLE);
    }
    this._answers = this.zmtp >= '3.1' || toText(this._handshake.peer.get('heartbeat')) === '1';
    this._loggedIn();
  }

  #frame(flag, body) {
    const { maxMessageSize, maxFrames } = this.#options;
    this.#size += body.length;
    if (this.#size > maxMessageSize) throw new ProtocolError(`message too large: want at most ${maxMessageSize} bytes`, TOO_LARGE);
    if (this.#frames.length === maxFrames) throw new ProtocolError(`message too large: want at most ${maxFrames} frames`, TOO_LARGE);
    this.#frames.push(new Frame(body.buffer, body.byteOffset, body.length));
    if (flag === MORE) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#size = 0;
    this._owner._received(this, frames);
  }

  #command(body) {
    if (this.#frames.length) throw new ProtocolError('command inside a message');
    const { name, data } = parseCommand(body);
    if (name === 'PING' && this.zmtp) this.command('PONG', data.subarray(2)); // after the time-to-live
    if (name === 'PONG') this._pong(data);
    if (name === 'LOST') this._owner._notify(this, 'lost', { count: parseNumber(data, 8) });
    if (name === 'WELCOME') this._owner._notify(this, 'renewed', {});
    if (name === 'EXPIRING') this._expiring(parseNumber(data, 4));
    this._owner._command?.(this, name, data);
    if (name === 'UNSUBSCRIBED') {
      this._owner._notify(this, 'unsubscribed', { topic: new Frame(data.buffer, data.byteOffset, data.length) });
    }
  }

  _ended(code, reason) {
    const status = this.#status;
    if (status && (code === 1005 || code === 1006)) code = codeOfStatus(status);
    super._ended(code, reason || (status && `the server answered ERROR ${status}`), status);
  }

  _drop() {
    super._drop();
    this.#status = this.#size = 0;
    this.#minor = undefined;
    this.#frames = [];
  }
}
