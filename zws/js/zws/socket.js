// What all sockets have: URLs, events, and an end. SPDX-License-Identifier: MPL-2.0

import { Connection } from './connection.js';
import { none } from './credentials.js';
import { SocketError } from './errors.js';
import { octets } from './frame.js';
import { Inbox, Outbox } from './queues.js';

/** Events of everything that connects. */
export const CONNECTION_EVENTS = ['ready', 'recovered', 'disconnect', 'refused', 'expiring', 'renewed'];

/** Handlers by the name of the event, which is one of names. */
export class Events {
  #handlers;

  constructor(names) {
    this.#handlers = new Map(names.map((name) => [name, []]));
  }

  on(name, handler) {
    return this.#set(name, (handlers) => [...handlers, handler]);
  }

  off(name, handler) {
    return this.#set(name, (handlers) => handlers.filter((h) => h !== handler));
  }

  /** A misspelt name would never be heard of. The handlers that an event has found stay its own. */
  #set(name, change) {
    const handlers = this.#handlers.get(name);
    if (!handlers) throw new TypeError(`there is no event ${name}, only ${[...this.#handlers.keys()].join(', ')}`);
    this.#handlers.set(name, change(handlers));
    return this;
  }

  emit(name, event) {
    for (const handler of this.#handlers.get(name)) {
      try {
        handler(event);
      } catch (error) {
        queueMicrotask(() => { throw error; }); // the page's fault, not the socket's
      }
    }
  }
}

// Options of everything that connects.
const CONNECTS = { login: none, handshakeTimeout: 30_000, reconnectInterval: 250, reconnectMaxInterval: 30_000 };

const DEFAULTS = {
  routingId: '',
  sendHighWaterMark: 1000,
  sendHighWaterBytes: 4 << 20,
  sendTimeout: -1,
  receiveHighWaterMark: 1000,
  maxMessageSize: 1 << 20,
  maxFrames: 1000,
};

/** The options as they hold, if all have a name of these or of CONNECTS. undefined is as if not given. */
export function complete(options, defaults) {
  const all = { ...CONNECTS, WebSocket: globalThis.WebSocket, ...defaults };
  for (const name in options) {
    if (!(name in all)) throw new TypeError(`there is no option ${name}`);
    if (options[name] !== undefined) all[name] = options[name];
  }
  if (!all.WebSocket) throw new TypeError('there is no WebSocket here: give a class for it in the options');
  return all;
}

/** url as it is connected to: relative to the page's, with ws for http. */
export function absolute(url) {
  const target = new URL(url, globalThis.location?.href);
  target.protocol = target.protocol.replace(/^http/, 'ws');
  if (!/^wss?:$/.test(target.protocol)) throw new TypeError('a URL for a socket begins with ws:// or wss://');
  target.hash = '';
  return target.href;
}

/**
 * The base of all sockets. Names that begin with _ are for connections and for the
 * patterns, which override some of them.
 */
export class Socket {
  events = new Events([...CONNECTION_EVENTS, 'lost', 'unsubscribed']);
  closed = false;
  #options;
  #connections = new Map(); // by URL
  #waiting = new Map(); // the promises of connect, by connection
  #dropped = new Map(); // messages that were not read in time, by connection

  constructor(type, options) {
    this.#options = { ...complete(options, DEFAULTS), type };
    this.#options.routingId = octets(this.#options.routingId);
    if (this.#options.routingId.length > 255) throw new RangeError('a routing id has at most 255 octets');
    this._inbox = new Inbox(this.#options.receiveHighWaterMark, (connection) => this.#count(connection));
    this._outbox = new Outbox(this.#options, () => [...this.#connections.values()]);
  }

  get type() {
    return this.#options.type;
  }

  /** Whether at least one URL is ready. */
  get ready() {
    return this._connections.some((connection) => connection.ready);
  }

  /**
   * Connects to a further URL or route of a Mux, or again to one that had refused. Nobody
   * needs to await it.
   */
  connect(target, { login = this.#options.login } = {}) {
    const url = absolute(target.url ?? target);
    if (!login?.begin) throw new TypeError('a login is made by plain, bearer or curve');
    if (this.closed) throw new SocketError('ECLOSED', 'the socket is closed');
    if (this.#connections.has(url)) throw new SocketError('EINUSE', 'the socket is connected to this URL already');
    this._inbox.end();
    this._outbox.end();
    const connection = target._open?.(this, this.#options, login) ?? new Connection(url, login, this, this.#options);
    this.#connections.set(url, connection);
    const ready = new Promise((resolve, reject) => this.#waiting.set(connection, { resolve, reject }));
    ready.catch(() => {}); // whoever does not await it hears by event
    return ready;
  }

  /** Ends the connection to a URL or a route. */
  disconnect(target) {
    const connection = this.#connections.get(absolute(target.url ?? target));
    if (connection) this.#remove(connection, new SocketError('ECLOSED', 'disconnected'));
  }

  /** Ends all connections. What no connection has taken yet is not sent. */
  close() {
    if (this.closed) return;
    this.closed = true;
    const error = new SocketError('ECLOSED', 'the socket is closed');
    for (const connection of this._connections) this.#remove(connection, error);
    this._inbox.end(error);
    this._outbox.end(error);
  }

  get _connections() {
    return [...this.#connections.values()];
  }

  /** The frames of a message that is to be sent, if no limit forbids it. */
  _frames(message) {
    const frames = (Array.isArray(message) ? message : [message]).map(octets);
    const { maxMessageSize, maxFrames } = this.#options;
    const size = frames.reduce((n, frame) => n + frame.length, 0);
    if (!frames.length || frames.length > maxFrames) throw new RangeError(`a message has 1 to ${maxFrames} frames`);
    if (size > maxMessageSize) throw new RangeError(`a message of ${size} octets, allowed are ${maxMessageSize}`);
    return frames;
  }

  /** A login has succeeded: again, if the connection had been lost. */
  _ready(connection, again) {
    this.#waiting.get(connection)?.resolve();
    this.#waiting.delete(connection);
    const { zmtp } = connection;
    this.#emit(again ? 'recovered' : 'ready', connection, zmtp ? { zmtp } : {});
    this._writable();
  }

  /** A connection can send again. */
  _writable() {
    this._outbox.pump();
  }

  /** A message has come: tells whether somebody will read it. */
  _arrived() {
    return false;
  }

  _notice(connection, name, event) {
    this.#emit(name, connection, event);
  }

  /** A connection is lost, or could not be made; it is tried again in delay ms. */
  _parted(connection, event) {
    this.#emit('disconnect', connection, event);
  }

  _refused(connection, error) {
    this.#remove(connection, error);
    this.#emit('refused', connection, { code: error.code, reason: error.reason, status: error.status });
    if (this.#connections.size) return;
    this._inbox.end(error);
    this._outbox.end(error);
  }

  #remove(connection, error) {
    connection.close();
    this.#connections.delete(connection.url);
    this.#waiting.get(connection)?.reject(error);
    this.#waiting.delete(connection);
  }

  /** One event for all that is dropped in one go. */
  #count(connection) {
    const count = this.#dropped.get(connection) ?? 0;
    this.#dropped.set(connection, count + 1);
    if (count) return;
    setTimeout(() => {
      this.#emit('lost', connection, { count: this.#dropped.get(connection) });
      this.#dropped.delete(connection);
    }, 0);
  }

  #emit(name, { url }, event) {
    this.events.emit(name, { url, ...event });
  }
}
