// The socket types that a client can have (28/REQREP, 29/PUBSUB, 30/PIPELINE, 31/EXPAIR).
// SPDX-License-Identifier: MPL-2.0

import { short } from './command.js';
import { ClosedError, RefusedError, SocketError } from './errors.js';
import { call } from './events.js';
import { concat, equal, toBytes } from './frame.js';
import { checkWait } from './options.js';
import { Socket } from './socket.js';
import { limited } from './wait.js';

const Readable = (Base) => class extends Base {
  #messages; // the iterator that reads for the event message

  constructor(type, options, defaults) {
    super(type, options, { ...defaults, decode: undefined });
  }

  receive(options) {
    if (options !== undefined) {
      try {
        checkWait(options);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#decoded(options);
  }

  #decoded(options) {
    const message = this._take(options), { decode } = this._options;
    return decode ? message.then(decode) : message;
  }

  /** Returns a promise of the next message, not decoded. */
  _take(options) {
    return this._inbox.take({ timeout: this._options.receiveTimeout, ...options });
  }

  [Symbol.asyncIterator]() {
    return this.#iterate((options) => this.#decoded(options));
  }

  #iterate(receive) {
    const end = { done: true, value: undefined }, owner = {};
    let over = false;
    return {
      next: async () => {
        if (over) return end;
        try {
          return { done: false, value: await receive({ timeout: -1, owner }) };
        } catch (error) {
          if (!over && !(error instanceof ClosedError)) throw error;
          over = true;
          return end;
        }
      },
      return: async () => {
        over = true;
        this._inbox.fail(new ClosedError('the iteration has ended'), owner);
        return end;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Reads as long as the event message has handlers and the socket has connections. */
  async _listen() {
    if (!this.events.has('message')) {
      this.#messages?.return();
      this.#messages = undefined;
      return;
    }
    if (this.#messages || !this._connections.length) return;
    const messages = this.#messages = this.#iterate((options) => this._take(options)), { decode = (message) => message } = this._options;
    try {
      // A message that cannot be decoded is reported to the page, and the next one follows.
      for await (const message of messages) {
        if (this.closed) break; // a handler has closed it, and is not called with what is unread
        call((m) => this.events.emit('message', decode(m)), message);
      }
    } catch (error) {
      if (!(error instanceof RefusedError)) queueMicrotask(() => { throw error; }); // a refusal has an event of its own
    } finally {
      if (this.#messages === messages) this.#messages = undefined;
    }
  }

  _received(connection, frames) {
    this._countReceived();
    this._inbox.put(connection, frames);
    return true;
  }
};

const Writable = (Base) => class extends Base {
  async send(message, options = {}) {
    checkWait(options);
    await this._outbox.send(this._frames(message), options);
  }
};

export class Dealer extends Readable(Writable(Socket)) {
  constructor(options) {
    super('DEALER', options);
  }
}

export class Push extends Writable(Socket) {
  constructor(options) {
    super('PUSH', options);
  }
}

export class Pull extends Readable(Socket) {
  constructor(options) {
    super('PULL', options);
  }
}

/** Has at most one connection at a time. */
export class Pair extends Readable(Writable(Socket)) {
  _single = true;

  constructor(options) {
    super('PAIR', options);
  }
}

/** Sends a request, then receives its reply: 28/REQREP, "The REQ Socket Type". */
export class Req extends Readable(Socket) {
  #replier; // the connection that owes the reply; null while the request is in the send queue
  #lost; // the error to report once if the reply cannot come any more
  #id; // what the reply has before its delimiter
  #requests = Promise.resolve(); // the last call of request
  #count = 0;

  constructor(options) {
    super('REQ', options);
  }

  async send(message, options = {}) {
    checkWait(options);
    await this.#send([], this._frames(message), options);
  }

  async #send(id, frames, options) {
    if (this.#replier !== undefined) throw new SocketError('EFSM', 'the last request has no reply yet: receive it first');
    this.#replier = null;
    this.#lost = undefined;
    this.#id = id;
    try {
      return await this._outbox.send([...id, new Uint8Array(), ...frames], options, (connection) => { this.#replier = connection; });
    } catch (error) {
      this.#replier = undefined;
      throw error;
    }
  }

  async _take(options) {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost) throw lost;
    if (this.#replier === undefined && this._inbox.empty) throw new SocketError('EFSM', 'no request to receive a reply to: send one first');
    return super._take(options);
  }

  /**
   * Sends a request and returns its reply; calls wait for each other. After timeout ms from its
   * turn on, or if the connection is lost, it sends the request again up to retries times. A frame
   * before the delimiter tells the replies apart, so a late one does no harm.
   */
  request(message, options = {}) {
    checkWait(options, ['timeout', 'signal', 'retries']);
    const frames = this._frames(message), earlier = this.#requests, result = this.#request(earlier, frames, options);
    this.#requests = Promise.allSettled([earlier, result]);
    return result;
  }

  async #request(earlier, frames, { timeout = this._options.receiveTimeout, signal, retries = 0 }) {
    signal?.throwIfAborted();
    await limited((resolve) => earlier.then(resolve), { signal });
    for (;;) {
      const entry = await this.#send([toBytes(String(++this.#count))], frames, { signal });
      try {
        return await this.receive({ timeout, signal });
      } catch (error) {
        this._outbox.remove(entry);
        this.#replier = undefined;
        if (!['EAGAIN', 'ELOST'].includes(error?.code) || retries-- <= 0) throw error;
      }
    }
  }

  /** Drops every message that is not the reply: from another connection, without a delimiter, or to an earlier request. */
  _received(connection, frames) {
    const id = this.#id, at = id?.length;
    if (connection !== this.#replier || !(frames.length > at + 1) || frames[at].length || (at && !equal(frames[0], id[0]))) return false;
    this.#replier = undefined;
    frames.splice(0, at + 1);
    return super._received(connection, frames);
  }

  _disconnected(connection, event) {
    super._disconnected(connection, event);
    this.#gone(connection);
  }

  /** Handles the end of a connection, by the application or a refusal. */
  _left(connection) {
    this.#gone(connection);
  }

  /** Reports a lost reply. Whether the request was carried out is unknown, so it is not sent again. */
  #gone(connection) {
    if (connection !== this.#replier) return;
    this.#replier = undefined;
    if (this.closed || !this._connections.length) return; // that is the error, and says more
    const lost = new SocketError('ELOST', 'the connection was lost before the reply');
    if (!this._inbox.fail(lost)) this.#lost = lost;
  }
}

/** Sends a subscription as a message (45/ZWS), or as a command to a ZMTP 3.1 peer behind a relay. */
export function sendSubscription(connection, on, topic) {
  if (connection.zmtp >= '3.1') connection.command(on ? 'SUBSCRIBE' : 'CANCEL', topic);
  else connection.send([concat([on], topic)]);
}

/** Subscriptions apply to all connections, including later ones. */
export class Sub extends Readable(Socket) {
  #topics = new Map(); // by key: the topic, how often it is subscribed to, and what history.js needs
  #denied = new WeakMap(); // by connection: keys of subscriptions that the server has removed
  #history; // undefined without the option, and until its module is loaded

  constructor(options, type = 'SUB') {
    super(type, options, { history: false, queue: undefined, position: undefined });
    const all = this._options, { queue, position } = all;
    all.history ||= (queue ?? position) != null;
    this._single = all.history; // a position belongs to one route
    if (queue === undefined) return;
    short(queue, 'queue name');
    all.position = undefined; // the server keeps it
  }

  get position() {
    return (this.#history ?? this._options).position ?? '';
  }

  /** Subscribes to the topics, or to everything without any. */
  subscribe(...topics) {
    const { last } = topics.at(-1)?.constructor === Object ? topics.pop() : {};
    if (last && !this._options.history) throw new SocketError('EHISTORY', 'last values need the option history: true');
    for (const topic of (topics.length ? topics : ['']).map(toBytes)) this._subscribe(1, topic, last);
  }

  unsubscribe(...topics) {
    for (const topic of (topics.length ? topics : ['']).map(toBytes)) this._subscribe(0, topic);
  }

  /**
   * Counts a subscription (on is 1) or its end (0). Only the first and the last of a topic are
   * sent, and a further one to a server that has removed the subscription or is asked for last
   * values. A queue outlives the socket, so every end is sent to it.
   */
  _subscribe(on, topic, last) {
    const key = topic.join(), known = this.#topics.get(key), queued = this._options.queue !== undefined;
    const count = (known?.count ?? 0) + (on ? 1 : -1), entry = { ...known, topic, count: Math.max(count, 0) };
    if (count < 0 && !queued) return;
    if (count > 0 || queued) this.#topics.set(key, entry);
    else this.#topics.delete(key);
    if (!on && count > 0) return;
    if (last) entry.last = entry.pending = true;
    for (const connection of this._connections) {
      const wasDenied = this.#denied.get(connection)?.delete(key);
      if (!connection.ready || (entry.count !== on && !wasDenied && !last)) continue;
      if (this.#history) this.#history.subscribe(connection, entry);
      else sendSubscription(connection, on, topic);
    }
  }

  /** Returns the subscriptions to send to a new connection, without those that the server has removed: it would refuse the client for good. */
  _subscriptions(connection) {
    const denied = this.#denied.get(connection);
    return [...this.#topics].filter(([key]) => !denied?.has(key)).map(([, entry]) => entry);
  }

  /** Returns a promise while the module for history is needed and not loaded. */
  _load() {
    if (!this._options.history || this.#history) return undefined;
    return import('./history.js').then(({ History }) => { this.#history ??= new History(this, this._options); });
  }

  _leave() {
    this.#history?.leave();
  }

  _command(connection, name, data) {
    this.#history?.command(connection, name, data);
  }

  _take(options) {
    this.#history?.asked();
    return super._take(options);
  }

  _received(connection, frames) {
    const source = this.#history ? this.#history.accept(connection, frames) : connection;
    return !!source && super._received(source, frames);
  }

  _broadcast(frames) {
    for (const connection of this._connections) {
      if (connection.ready) connection.send(frames);
    }
  }

  _ready(connection, again) {
    if (this.#history) this.#history.ready(connection);
    else this._subscriptions(connection).forEach(({ topic }) => sendSubscription(connection, 1, topic));
    super._ready(connection, again);
  }

  _notify(connection, name, event) {
    const key = event.topic?.join(), denied = this.#denied.get(connection) ?? new Set();
    if (!this.#topics.has(key) || denied.has(key)) return super._notify(connection, name, event);
    this.#denied.set(connection, denied.add(key));
    this._emit(connection, name, event); // at most one for each subscription
  }
}

/** A Sub that can also send: subscriptions as messages, and other messages to all publishers. */
export class XSub extends Sub {
  constructor(options) {
    super(options, 'XSUB');
  }

  async send(message, options = {}) {
    checkWait(options);
    options.signal?.throwIfAborted();
    const frames = this._frames(message), on = frames[0][0];
    if (frames.length === 1 && on <= 1) this._subscribe(on, frames[0].subarray(1));
    else this._broadcast(frames);
  }
}
