// One URL of a socket: the login and the traffic of ZWS 2.0 (45/ZWS).
// SPDX-License-Identifier: MPL-2.0

import { command, parseCommand, parseNumber, parseStatus } from './command.js';
import { NOT_TAKEN, ProtocolError, TOO_LARGE, codeOfStatus } from './errors.js';
import { COMMAND, Frame, LAST, MORE, encode, parse, text } from './frame.js';
import { Link } from './link.js';

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
const REASON = 1_000; // ms in which a close frame may follow an ERROR

/** What the server sends is told to its owner, a Socket, by _arrived and _notice. */
export class Connection extends Link {
  #options;
  #status = 0; // of the ERROR that came
  #minor; // of ZMTP 3, which the peer behind a relay speaks; -1 without a relay
  #frames = []; // of the message that is being received
  #size = 0;

  constructor(url, credentials, owner, options) {
    const { type, routingId } = options, properties = [['Socket-Type', type], ['Notices', '1']];
    if (routingId.length) properties.push(['Identity', routingId]);
    super(url, `ZWS2.0+${credentials.mechanism}`, credentials, properties, owner, options);
    this.#options = options;
    this._open();
  }

  /** Sends all frames of one message; for the owner, and only when ready. */
  send(frames) {
    frames.forEach((body, i) => this._write(this._handshake.encode(i < frames.length - 1 ? MORE : LAST, body)));
  }

  /** The version that the peer behind a relay speaks, as '3.1'. */
  get zmtp() {
    return this.#minor >= 0 ? `3.${this.#minor}` : undefined;
  }

  /** Sends a command between messages, likewise. */
  command(name, ...data) {
    this._write(this._handshake.encode(COMMAND, command(name, ...data)));
  }

  _greeting() {
    return encode(COMMAND, this._handshake.open());
  }

  _renewal(token) {
    return encode(COMMAND, this._handshake.renew(token));
  }

  _message(data) {
    const frame = parse(data);
    if (!this._handshake.ready) return this.#login(frame);
    const { flag, body } = this._handshake.decode(frame);
    if (flag === COMMAND) this.#notice(body);
    else this.#frame(flag, body);
  }

  #login({ flag, body }) {
    if (flag !== COMMAND) throw new ProtocolError('a message before READY');
    if (body.length > MAX_COMMAND) throw new ProtocolError('a command that is too long', TOO_LARGE);
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
    if (this._handshake.ready) this.#fits();
  }

  /** The close frame that follows says more; libzmq sends none. */
  #error(status) {
    this.#status = status;
    this._expectEnd(REASON);
  }

  #fits() {
    const theirs = this._handshake.peer.get('socket-type'), { type } = this.#options;
    if (theirs && !PEERS[type].includes(text(theirs))) {
      throw new ProtocolError(`a ${type} socket cannot talk to the server's ${text(theirs)}`, NOT_TAKEN);
    }
    this._loggedIn();
  }

  #frame(flag, body) {
    const { maxMessageSize, maxFrames } = this.#options;
    this.#size += body.length;
    if (this.#size > maxMessageSize) throw new ProtocolError(`a message of more than ${maxMessageSize} octets`, TOO_LARGE);
    if (this.#frames.length === maxFrames) throw new ProtocolError(`a message of more than ${maxFrames} frames`, TOO_LARGE);
    this.#frames.push(new Frame(body.buffer, body.byteOffset, body.length));
    if (flag === MORE) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#size = 0;
    this._owner._arrived(this, frames);
  }

  #notice(body) {
    if (this.#frames.length) throw new ProtocolError('a command inside a message');
    const { name, data } = parseCommand(body);
    if (name === 'PING' && this.zmtp) this.command('PONG', data.subarray(2)); // without the time-to-live
    if (name === 'LOST') this._owner._notice(this, 'lost', { count: parseNumber(data, 8) });
    if (name === 'WELCOME') this._owner._notice(this, 'renewed', {});
    if (name === 'EXPIRING') this._expiring(parseNumber(data, 4));
    if (name === 'UNSUBSCRIBED') {
      this._owner._notice(this, 'unsubscribed', { topic: new Frame(data.buffer, data.byteOffset, data.length) });
    }
  }

  _ended(code, reason) {
    const status = this.#status;
    if (status && (code === 1005 || code === 1006)) code = codeOfStatus(status);
    super._ended(code, reason || (status && `the server answered ${status}`), status);
  }

  _drop() {
    super._drop();
    this.#status = this.#size = 0;
    this.#minor = undefined;
    this.#frames = [];
  }
}
