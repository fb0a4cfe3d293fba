// Many sockets on one WebSocket and one login: ZWSMUX1.0 (zws/PROTOCOL.md of zwsbridge). A
// page that does not import this module does not load it; mux.d.ts says what it offers.
// SPDX-License-Identifier: MPL-2.0

import { Channel } from './channel.js';
import { parseCommand } from './command.js';
import { ProtocolError, SocketError } from './errors.js';
import { octets } from './frame.js';
import { Link } from './link.js';
import { MAX_CREDIT, MAX_ROUTE, login, parse } from './muxframe.js';
import { CONNECTION_EVENTS, Events, absolute, complete } from './socket.js';

const MECHANISMS = ['NULL', 'PLAIN', 'BEARER'];
const DEFAULTS = { window: 256 << 10 };

/** The WebSocket of a Mux and the login on it. All other frames go to the Mux. */
class Carrier extends Link {
  #mechanism;

  constructor(url, credentials, owner, options) {
    super(url, 'ZWSMUX1.0', credentials, [], owner, options);
    this.#mechanism = credentials.mechanism;
    this._open();
  }

  _greeting() {
    return this.#login(this._handshake.open());
  }

  _renewal(token) {
    return this.#login(this._handshake.renew(token));
  }

  /** A login has the data of the HELLO of PLAIN and BEARER; that of NULL has none. */
  #login(command) {
    return login(this.#mechanism, this.#mechanism === 'NULL' ? [] : parseCommand(command).data);
  }

  _message(data) {
    const frame = parse(data), { op, numbers: [number] } = frame;
    if (op === 'ready') {
      this.channels = number;
      if (this.ready) this._owner._notice(this, 'renewed', {});
      else this._loggedIn();
    } else if (!this.ready) throw new ProtocolError(`${op} before ready`);
    else if (op === 'expiring') this._expiring(number);
    else this._owner._arrived(frame);
  }
}

/** Names that begin with _ are for the connection, the channels and the sockets. */
export class Mux {
  events = new Events(CONNECTION_EVENTS);
  #channels = new Set();
  #numbers = new Map(); // the channels by their numbers on the present WebSocket
  #last = 0; // number on the present WebSocket
  #end; // why no channel can be had any more

  constructor(url, options) {
    const all = complete(options, DEFAULTS), { window } = all;
    if (!MECHANISMS.includes(all.login.mechanism)) throw new TypeError(`a Mux logs in by ${MECHANISMS.join(', ')}`);
    if (!(window >= 1 && window <= MAX_CREDIT)) throw new RangeError(`a window has 1 to ${MAX_CREDIT} octets`);
    this._window = Math.floor(window);
    this._carrier = new Carrier(absolute(url), all.login, this, all);
  }

  get url() {
    return this._carrier.url;
  }

  get ready() {
    return this._carrier.ready;
  }

  get closed() {
    return !!this.#end;
  }

  /** What a socket connects to for a route of the server. */
  route(path) {
    const url = this._url(path);
    return { url, _open: (owner, options) => this._add(new Channel(this, url, path, owner, options)) };
  }

  /** Ends the connection. The sockets are disconnected from its routes, and not closed. */
  close() {
    this.#end ??= new SocketError('ECLOSED', 'the Mux is closed');
    this.#numbers.clear();
    this._carrier.close();
    this.#each((channel) => channel.disconnect());
  }

  /** The URL that a connection of its own would have. */
  _url(path) {
    if (!/^\//.test(path)) throw new TypeError('a route is a path that begins with /');
    if (octets(path).length > MAX_ROUTE) throw new RangeError(`a route has at most ${MAX_ROUTE} octets`);
    return Object.assign(new URL(this.url), { pathname: path, search: '' }).href;
  }

  _assertOpen() {
    if (this.#end instanceof SocketError) throw this.#end;
  }

  _add(channel) {
    this._assertOpen();
    this.#channels.add(channel);
    // Later, when its socket has it.
    queueMicrotask(() => (this.#end ? channel.refused(this.#end) : channel.open()));
    return channel;
  }

  // What the channels call.

  /** The next number, if the server takes another channel. */
  _number(channel) {
    if (this.#numbers.size >= this._carrier.channels) return undefined;
    this.#numbers.set(++this.#last, channel);
    return this.#last;
  }

  /** Tells whether the server holds the channel of this number for open. */
  _leave(number) {
    return this.#numbers.delete(number);
  }

  _forget(channel) {
    this.#channels.delete(channel);
  }

  // What the connection calls, as it does with a Socket.

  _ready(_, again) {
    this.#last = 0;
    this.#emit(again ? 'recovered' : 'ready', {});
    this.#each((channel) => channel.open());
  }

  _arrived(frame) {
    const [number] = frame.numbers, channel = this.#numbers.get(number);
    if (!number || number > this.#last) throw new ProtocolError(`channel ${number} was never opened`);
    if (frame.op === 'close') this.#numbers.delete(number);
    channel?.take(frame); // none: it was under way when we closed the channel
  }

  _notice(_, name, event) {
    this.#emit(name, event);
    this.#each((channel) => channel.notice(name, event));
  }

  _parted(_, event) {
    this.#numbers.clear();
    this.#emit('disconnect', event);
    this.#each((channel) => channel.parted(event));
  }

  _refused(_, error) {
    this.#end = error;
    this.#numbers.clear();
    this.#emit('refused', { code: error.code, reason: error.reason, status: error.status });
    this.#each((channel) => channel.refused(error));
  }

  /** Some come and some go meanwhile. */
  #each(action) {
    [...this.#channels].forEach(action);
  }

  #emit(name, event) {
    this.events.emit(name, { url: this.url, ...event });
  }
}
