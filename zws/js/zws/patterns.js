// The socket types (28/REQREP, 29/PUBSUB, 30/PIPELINE, 31/EXPAIR), each what a client of a
// route can be. SPDX-License-Identifier: MPL-2.0

import { SocketError } from './errors.js';
import { concat, octets } from './frame.js';
import { Socket } from './socket.js';

const Readable = (Base) => class extends Base {
  async receive() {
    return this._inbox.take();
  }

  async* [Symbol.asyncIterator]() {
    while (!this.closed) {
      try {
        yield await this.receive();
      } catch (error) {
        if (!this.closed) throw error;
      }
    }
  }

  _arrived(connection, frames) {
    this._inbox.put(connection, frames);
    return true;
  }
};

const Writable = (Base) => class extends Base {
  async send(message) {
    return this._outbox.send(this._frames(message));
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

/** One connection at a time. */
export class Pair extends Readable(Writable(Socket)) {
  constructor(options) {
    super('PAIR', options);
  }

  connect(url, options) {
    if (this._connections.length) throw new SocketError('EINUSE', 'a Pair has one connection');
    return super.connect(url, options);
  }
}

/** A request, then its reply: 28/REQREP, "The REQ Socket Type". */
export class Req extends Readable(Socket) {
  #asked; // the connection that owes a reply; null while the request waits for one
  #lost; // that the reply will not come, until somebody is told

  constructor(options) {
    super('REQ', options);
  }

  async send(message) {
    if (this.#asked !== undefined) throw new SocketError('EFSM', 'the last request has no reply yet');
    const frames = [new Uint8Array(), ...this._frames(message)];
    this.#asked = null;
    this.#lost = undefined;
    try {
      await this._outbox.send(frames, (connection) => { this.#asked = connection; });
    } catch (error) {
      this.#asked = undefined;
      throw error;
    }
  }

  async receive() {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost) throw lost;
    if (this.#asked === undefined && this._inbox.empty) throw new SocketError('EFSM', 'there is no request to have a reply');
    return super.receive();
  }

  /** Whatever is not the reply is dropped: from elsewhere, or without the delimiter. */
  _arrived(connection, frames) {
    if (connection !== this.#asked || frames.length < 2 || frames[0].length) return false;
    this.#asked = undefined;
    return super._arrived(connection, frames.slice(1));
  }

  _parted(connection, event) {
    super._parted(connection, event);
    this.#gone(connection);
  }

  _refused(connection, error) {
    super._refused(connection, error);
    this.#gone(connection);
  }

  /** Nobody knows whether a request that has no reply was carried out. */
  #gone(connection) {
    if (connection !== this.#asked) return;
    this.#asked = undefined;
    if (!this._connections.length) return; // the last has refused, which says more
    const lost = new SocketError('ELOST', 'the connection was lost before the reply');
    if (!this._inbox.fail(lost)) this.#lost = lost;
  }
}

/** A message, as 45/ZWS has it, or what ZMTP 3.1 has for it behind a relay. */
function subscription(connection, on, topic) {
  if (connection.zmtp >= '3.1') connection.command(on ? 'SUBSCRIBE' : 'CANCEL', topic);
  else connection.send([concat([on], topic)]);
}

/** Subscriptions hold for all connections, those to come included. */
export class Sub extends Readable(Socket) {
  #topics = new Map(); // how often each is subscribed to
  #denied = new WeakMap(); // those that a server has dropped, by connection

  constructor(options, type = 'SUB') {
    super(type, options);
  }

  /** Without a topic: to everything. */
  subscribe(...topics) {
    for (const topic of topics.length ? topics : ['']) this._subscribe(1, octets(topic));
  }

  unsubscribe(...topics) {
    for (const topic of topics.length ? topics : ['']) this._subscribe(0, octets(topic));
  }

  /**
   * Only the first subscription to a topic and the end of the last go to the server; and a
   * further one to a server that has dropped it.
   */
  _subscribe(on, topic) {
    const key = topic.join(), count = (this.#topics.get(key)?.count ?? 0) + (on ? 1 : -1);
    if (count < 0) return;
    if (count) this.#topics.set(key, { topic, count });
    else this.#topics.delete(key);
    if (!on && count) return;
    for (const connection of this._connections) {
      const again = this.#denied.get(connection)?.delete(key);
      if (connection.ready && (count === on || again)) subscription(connection, on, topic);
    }
  }

  _broadcast(frames) {
    for (const connection of this._connections) {
      if (connection.ready) connection.send(frames);
    }
  }

  /** To ask for what was dropped without the page's wish would end the connection for good. */
  _ready(connection, again) {
    const denied = this.#denied.get(connection);
    for (const [key, { topic }] of this.#topics) {
      if (!denied?.has(key)) subscription(connection, 1, topic);
    }
    super._ready(connection, again);
  }

  _notice(connection, name, event) {
    const key = event.topic?.join();
    if (this.#topics.has(key)) {
      this.#denied.set(connection, (this.#denied.get(connection) ?? new Set()).add(key));
    }
    super._notice(connection, name, event);
  }
}

/** As Sub, and subscriptions may be sent as messages; others go to all publishers. */
export class XSub extends Sub {
  constructor(options) {
    super(options, 'XSUB');
  }

  async send(message) {
    const frames = this._frames(message), on = frames[0][0];
    if (frames.length === 1 && on <= 1) this._subscribe(on, frames[0].subarray(1));
    else this._broadcast(frames);
  }
}
