// Many sockets on one WebSocket and one login: ZWSMUX1.0 (zws/PROTOCOL.md). Only pages that
// import this module load it; mux.d.ts documents it.
// SPDX-License-Identifier: MPL-2.0

import { Channel } from './channel.js';
import { ClosedError, ProtocolError } from './errors.js';
import { toBytes } from './frame.js';
import { CONNECTION_EVENTS, Events } from './events.js';
import { Link } from './link.js';
import { MAX_ROUTE, eachFrame, loginOf, ping } from './muxframe.js';
import { Notifications } from './notifications.js';
import { complete } from './options.js';
import { absolute } from './socket.js';

const MECHANISMS = ['NULL', 'PLAIN', 'BEARER'];
const DEFAULTS = { window: 256 << 10 };

/** The WebSocket of a Mux and its login. It passes all other frames to the Mux. */
class MuxLink extends Link {
  #mechanism;
  _answers = true;

  constructor(url, credentials, owner, options) {
    super(url, ['ZWSMUX1.0'], credentials, [], owner, options);
    this.#mechanism = credentials.mechanism;
    this._open();
  }

  _greeting() {
    return loginOf(this.#mechanism, this._handshake.open());
  }

  _renewal(token) {
    return loginOf(this.#mechanism, this._handshake.renew(token));
  }

  _ping(context) {
    return ping(context);
  }

  _message(data) {
    eachFrame(data, this, (frame) => this.#frame(frame));
  }

  #frame(frame) {
    const { op, numbers: [number] } = frame;
    if (op === 'ready') {
      this.maxChannels = number;
      if (this.ready) this._owner._notify(this, 'renewed', {});
      else this._loggedIn();
    } else if (!this.ready) throw new ProtocolError(`unexpected ${op} before ready`);
    else if (op === 'expiring') this._expiring(number);
    else if (op === 'pong') this._pong(frame.rest);
    else this._owner._received(frame);
  }
}

/** Names that begin with _ are for the link, the channels and the sockets. */
export class Mux {
  events = new Events(CONNECTION_EVENTS);
  #channels = new Set();
  #numbers = new Map(); // channels by their numbers on the current WebSocket
  #last = 0; // the last number used on the current WebSocket
  #notifications = new Notifications((name, event) => this.#emitToAll(name, event));
  #debug;
  #end; // why channels cannot be opened any more

  constructor(url, options) {
    const all = complete(options, DEFAULTS), { window } = all;
    if (!MECHANISMS.includes(all.login.mechanism)) throw new TypeError(`unsupported mechanism ${all.login.mechanism}, want one of ${MECHANISMS.join(', ')}`);
    this.#debug = all.debug;
    this._window = Math.floor(window);
    this._link = new MuxLink(absolute(url), all.login, this, all);
  }

  get url() {
    return this._link.url;
  }

  get ready() {
    return this._link.ready;
  }

  get closed() {
    return !!this.#end;
  }

  /** Returns what a socket connects to for a route of the server. */
  route(path) {
    const url = this._url(path);
    return { url, _open: (owner, options) => this._add(new Channel(this, url, path, owner, options)) };
  }

  /** Connects again at once. */
  reconnect() {
    this._assertOpen();
    this._link.reconnect();
  }

  /** What the Mux does: connecting, ready, reconnecting, refused or closed. */
  get state() {
    if (this.#end) return this.#end instanceof ClosedError ? 'closed' : 'refused';
    if (this.ready) return 'ready';
    return this._link.wasReady ? 'reconnecting' : 'connecting';
  }

  /** The time of the last answer to a ping in ms. */
  get rtt() {
    return this._link.rtt;
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    this.close();
  }

  /** Closes the connection. Its sockets are disconnected from it and stay open. */
  close() {
    this.#end ??= new ClosedError('the Mux is closed');
    this.#numbers.clear();
    this._link.close();
    this.#each((channel) => channel.disconnect());
  }

  /** Returns the URL of a connection of its own to the path. */
  _url(path) {
    if (!/^\//.test(path)) throw new TypeError(`malformed route "${path}", want a path that begins with /`);
    const size = toBytes(path).length;
    if (size > MAX_ROUTE) throw new RangeError(`route of ${size} bytes, want at most ${MAX_ROUTE}`);
    return Object.assign(new URL(this.url), { pathname: path, search: '' }).href;
  }

  _assertOpen() {
    if (this.#end instanceof ClosedError) throw this.#end;
  }

  _add(channel) {
    this._assertOpen();
    this.#channels.add(channel);
    // After the socket has registered the channel.
    queueMicrotask(() => (this.#end ? channel.refused(this.#end) : channel.open()));
    return channel;
  }

  // Called by the channels.

  /** Returns the next number, or undefined if the server allows no more channels. */
  _assignNumber(channel) {
    if (this.#numbers.size >= this._link.maxChannels) return undefined;
    this.#numbers.set(++this.#last, channel);
    return this.#last;
  }

  /** Returns whether the channel of this number is still open on the server. */
  _releaseNumber(number) {
    return this.#numbers.delete(number);
  }

  _forget(channel) {
    this.#channels.delete(channel);
  }

  // Called by the link, as those of a Socket.

  _ready(_, again) {
    this.#last = 0;
    this.#emit(again ? 'recovered' : 'ready', {});
    this.#each((channel) => channel.open());
  }

  _received(frame) {
    const [number] = frame.numbers, channel = this.#numbers.get(number);
    if (!number || number > this.#last) throw new ProtocolError(`channel ${number} was never opened`);
    if (frame.op === 'close') this.#numbers.delete(number);
    channel?.receive(frame); // undefined: the frame crossed with our close
  }

  _notify(_, name, event) {
    this.#notifications.put(name, event);
  }

  #emitToAll(name, event) {
    if (this.#end) return;
    this.#emit(name, event);
    this.#each((channel) => channel.notify(name, event));
  }

  _disconnected(_, event) {
    this.#numbers.clear();
    this.#emit('disconnect', event);
    this.#each((channel) => channel.disconnected(event));
  }

  _refused(_, error) {
    this.#end = error;
    this.#numbers.clear();
    this.#emit('refused', { code: error.code, reason: error.reason, status: error.status });
    this.#each((channel) => channel.refused(error));
  }

  /** Calls action for a copy of the channels, because handlers add and remove some. */
  #each(action) {
    [...this.#channels].forEach(action);
  }

  #emit(name, event) {
    if (this.#debug) console.debug(`zws Mux ${this.url}: ${name}`, event);
    this.events.emit(name, { url: this.url, ...event });
  }
}
