// The base of all sockets: URLs, events, options. SPDX-License-Identifier: MPL-2.0

import { Connection } from './connection.js';
import { ClosedError, RefusedError, SocketError } from './errors.js';
import { CONNECTION_EVENTS, Events } from './events.js';
import { toBytes } from './frame.js';
import { Notifications } from './notifications.js';
import { SOCKET_DEFAULTS, checkLogin, checkWait, complete } from './options.js';
import { Inbox, Outbox } from './queues.js';
import { whenAborted } from './wait.js';

const DRAIN_INTERVAL = 10; // ms between looks at the buffers of WebSockets, which have no event

/** Returns the absolute WebSocket URL of a URL, which can be relative to the page's or begin with http, or of a route. */
export function absolute(urlOrRoute) {
  const url = urlOrRoute?.url ?? urlOrRoute;
  if (typeof url !== 'string' && !(url instanceof URL)) throw new TypeError(`unsupported target ${String(url)}, want a URL or a route of a Mux`);
  let target;
  try {
    target = new URL(url, globalThis.location?.href);
  } catch {
    throw new TypeError(`invalid URL "${url}", want one such as wss://host/path`);
  }
  target.protocol = target.protocol.replace(/^http/, 'ws');
  if (!/^wss?:$/.test(target.protocol)) throw new TypeError(`unsupported URL scheme "${target.protocol}", want "ws:" or "wss:"`);
  target.hash = '';
  return target.href;
}

/**
 * The base of all sockets. Connections and subclasses use the names that begin with _;
 * subclasses override some of them.
 */
export class Socket {
  events;
  closed = false;
  #counts = { received: 0, sent: 0, dropped: 0, reconnects: 0 };
  #end; // why the last connection has ended
  #connections = new Map(); // by URL
  #pending = new Map(); // by connection: resolve and reject of the promise of connect
  #notifications = new WeakMap(); // by connection
  #dropped = new Map(); // by connection: unread messages dropped and not yet reported

  /** defaults are those of the options that only this type has. */
  constructor(type, options, defaults) {
    this.events = new Events([...CONNECTION_EVENTS, 'lost', 'unsubscribed', 'resumed', 'message'], (name) => name === 'message' && this._listen());
    this._options = { ...complete(options, { ...SOCKET_DEFAULTS, ...defaults }), type };
    this._options.routingId = toBytes(this._options.routingId);
    if (this._options.routingId.length > 255) throw new RangeError(`routing id of ${this._options.routingId.length} bytes, want at most 255`);
    this._inbox = new Inbox(this._options.receiveHighWaterMark, (connection) => this.#countDropped(connection));
    this._outbox = new Outbox(this._options, () => this._connections, () => { this.#counts.sent++; });
  }

  get type() {
    return this._options.type;
  }

  /** Whether at least one connection is ready. */
  get ready() {
    return this._connections.some((connection) => connection.ready);
  }

  /** What the socket does: idle without a URL, connecting, ready, reconnecting, refused or closed. */
  get state() {
    if (this.closed) return 'closed';
    if (this.ready) return 'ready';
    if (!this.#connections.size) return this.#end instanceof RefusedError ? 'refused' : 'idle';
    return this._connections.some(({ wasReady }) => wasReady) ? 'reconnecting' : 'connecting';
  }

  /** Counters since the socket was made, what waits now, and the time of the last answer to a ping in ms. */
  get stats() {
    return { ...this.#counts, unread: this._inbox.size, queued: this._outbox.size, rtt: this._connections.find(({ rtt }) => rtt >= 0)?.rtt };
  }

  on(name, handler) {
    this.events.on(name, handler);
    return this;
  }

  once(name, handler) {
    this.events.once(name, handler);
    return this;
  }

  off(name, handler) {
    this.events.off(name, handler);
    return this;
  }

  /** Connects to another URL or route of a Mux, or again to one that refused. The promise can be ignored. */
  connect(target, options = {}) {
    checkWait(options, ['login', 'signal']);
    const url = absolute(target), { login = this._options.login, signal } = options;
    checkLogin(login);
    if (this.closed) throw new ClosedError('the socket is closed');
    if (this._single && this.#connections.size) throw new SocketError('EINUSE', 'the socket is already connected: it has at most one connection');
    if (this.#connections.has(url)) throw new SocketError('EINUSE', `the socket is already connected to ${url}`);
    signal?.throwIfAborted();
    this.#end = undefined;
    this._inbox.end();
    this._outbox.end();
    const connection = target._open?.(this, this._options, login) ?? new Connection(url, login, this, this._options);
    this.#connections.set(url, connection);
    const ready = new Promise((resolve, reject) => this.#pending.set(connection, { resolve, reject }));
    ready.catch(() => {}); // a caller that ignores the promise gets the event
    this._listen();
    if (signal) {
      const stop = whenAborted(signal, () => this.#connections.get(url) === connection && this.#leave(connection, signal.reason));
      ready.then(stop, stop);
    }
    return ready;
  }

  /** Closes the connection to a URL or route. */
  disconnect(target) {
    const connection = this.#connections.get(absolute(target));
    if (connection) this.#leave(connection, new ClosedError('disconnected'));
  }

  /** Closes a connection because the application wants it. Readers end with the last one; messages stay in the send queue. */
  #leave(connection, error) {
    this.#remove(connection, error);
    if (!this.#connections.size && !this.closed) this._inbox.end(this.#end = new ClosedError('the socket is not connected'));
  }

  /** Waits until the send queue is empty and the connections have sent what they hold. */
  async drain(options = {}) {
    checkWait(options, ['signal']);
    const { signal } = options;
    for (;;) {
      signal?.throwIfAborted();
      if (this.closed) throw new ClosedError('the socket is closed');
      if (this.#end) throw this.#end; // no connection is left to send it
      if (!this._outbox.size && !this._connections.some(({ bufferedAmount }) => bufferedAmount)) return;
      await new Promise((resolve) => { setTimeout(resolve, DRAIN_INTERVAL); });
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    this.close();
  }

  /** Closes the connections, or gives up waiting for the next attempt, and connects again at once. */
  reconnect() {
    if (this.closed) throw new ClosedError('the socket is closed');
    for (const connection of this._connections) connection.reconnect();
  }

  /** Closes all connections. Messages in the send queue are discarded. */
  close() {
    if (this.closed) return;
    this.closed = true;
    const error = new ClosedError('the socket is closed');
    for (const connection of this._connections) this.#remove(connection, error);
    this._inbox.end(error);
    this._outbox.end(error);
  }

  get _connections() {
    return [...this.#connections.values()];
  }

  /** Returns the frames of a message to send, after checking the limits. */
  _frames(message) {
    const frames = (Array.isArray(message) ? message : [message]).map(toBytes);
    const { maxMessageSize, maxFrames } = this._options;
    const size = frames.reduce((n, frame) => n + frame.length, 0);
    if (!frames.length || frames.length > maxFrames) throw new RangeError(`message of ${frames.length} frames, want 1 to ${maxFrames}`);
    if (size > maxMessageSize) throw new RangeError(`message of ${size} bytes, want at most ${maxMessageSize}`);
    return frames;
  }

  /** Begins to read for the event message, if it has handlers. */
  _listen() {}

  /** Handles a login that succeeded; again is set after a reconnect. */
  _ready(connection, again) {
    if (again) this.#counts.reconnects++;
    this.#pending.get(connection)?.resolve();
    this.#pending.delete(connection);
    const { zmtp } = connection;
    this._emit(connection, again ? 'recovered' : 'ready', zmtp ? { zmtp } : {});
    this._writable();
  }

  /** Handles a connection that can send again. */
  _writable() {
    this._outbox.pump();
  }

  /** Handles a received message. Returns whether it was kept for a reader. */
  _received() {
    return false;
  }

  _countReceived() {
    this.#counts.received++;
  }

  /** Handles a notification of the server, which can send any number. */
  _notify(connection, name, event) {
    let notifications = this.#notifications.get(connection);
    if (!notifications) {
      notifications = new Notifications((...emitted) => this.#connections.get(connection.url) === connection && this._emit(connection, ...emitted));
      this.#notifications.set(connection, notifications);
    }
    notifications.put(name, event);
  }

  /** Handles a connection that was lost or could not be made; the next attempt is in event.delay ms. */
  _disconnected(connection, event) {
    this._emit(connection, 'disconnect', event);
  }

  _refused(connection, error) {
    this.#remove(connection, error);
    if (!this.#connections.size) this.#end = error; // before the event, whose handlers may look at the state or connect again
    this._emit(connection, 'refused', { code: error.code, reason: error.reason, status: error.status });
    if (this.#connections.size) return;
    this._inbox.end(error);
    this._outbox.end(error);
  }

  #remove(connection, error) {
    this._leave?.();
    connection.close();
    this.#connections.delete(connection.url);
    this.#pending.get(connection)?.reject(error);
    this.#pending.delete(connection);
    this._left?.(connection);
  }

  /** Counts a dropped message. One event reports all that are dropped in the same task. */
  #countDropped(connection) {
    const count = this.#dropped.get(connection) ?? 0;
    this.#dropped.set(connection, count + 1);
    if (count) return;
    setTimeout(() => {
      this._notify(connection, 'lost', { count: this.#dropped.get(connection) });
      this.#dropped.delete(connection);
    }, 0);
  }

  _emit({ url }, name, event) {
    if (name === 'lost') this.#counts.dropped += event.count;
    if (this._options.debug) console.debug(`zws ${this.type} ${url}: ${name}`, event);
    this.events.emit(name, { url, ...event });
  }
}
