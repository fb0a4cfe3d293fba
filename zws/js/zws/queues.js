// What waits: messages to a reader, and messages to a connection that takes them.
// SPDX-License-Identifier: MPL-2.0

import { SocketError } from './errors.js';

const POLL = 10; // ms between looks at a WebSocket that has too much to send

/** Received messages: a queue for each connection, read in turn. */
export class Inbox {
  #queues = new Map(); // in the order in which their turn comes
  #limit;
  #dropped;
  #reader;
  #end;

  /**
   * limit is for the messages of one connection; dropped is called for each beyond. But a
   * connection that has a method taken can make its server wait: nothing of it is dropped,
   * and it is told of each message that somebody has read.
   */
  constructor(limit, dropped) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  /** Whether there is nothing to read, and nothing to tell who tries. */
  get empty() {
    return !this.#queues.size && !this.#end;
  }

  put(connection, message) {
    if (this.#reader) {
      this.#settle('resolve', message);
      connection.taken?.();
      return;
    }
    const queue = this.#queues.get(connection) ?? [];
    this.#queues.set(connection, queue);
    queue.push(message);
    if (queue.length <= this.#limit || connection.taken) return;
    queue.shift();
    this.#dropped(connection);
  }

  async take() {
    for (const [connection, queue] of this.#queues) {
      this.#queues.delete(connection);
      if (!queue.length) continue; // what comes next puts it back
      const message = queue.shift();
      if (queue.length) this.#queues.set(connection, queue);
      connection.taken?.();
      return message;
    }
    if (this.#end) throw this.#end;
    if (this.#reader) throw new SocketError('EBUSY', 'another receive is waiting');
    return new Promise((resolve, reject) => { this.#reader = { resolve, reject }; });
  }

  /** Nothing more comes: who has read the rest is told why. undefined takes it back. */
  end(error) {
    this.#end = error;
    if (error) this.fail(error);
  }

  /** Tells a waiting reader; without one it returns false. */
  fail(error) {
    return !!this.#reader && this.#settle('reject', error);
  }

  #settle(how, value) {
    const reader = this.#reader;
    this.#reader = undefined;
    reader[how](value);
    return true;
  }
}

/** Messages that no connection has taken yet, given to those that can, in turn. */
export class Outbox {
  #queue = [];
  #size = 0; // octets
  #options;
  #connections;
  #next = 0;
  #room; // resolves the send that waits for room
  #poll;
  #end;

  /** connections() gives those that there are. */
  constructor(options, connections) {
    this.#options = options;
    this.#connections = connections;
  }

  /** sent, if given, is called with the connection that took the message. */
  async send(frames, sent) {
    if (this.#room) throw new SocketError('EBUSY', 'another send is waiting for room in the queue');
    const size = frames.reduce((n, frame) => n + frame.length, 0);
    while (!this.#end && !this.#fits(size)) await this.#wait();
    if (this.#end) throw this.#end;
    this.#size += size;
    this.#queue.push({ frames, size, sent });
    this.pump();
  }

  /** Gives away what can be given away. */
  pump() {
    while (this.#queue.length) {
      const connection = this.#turn();
      if (!connection) break;
      const { frames, size, sent } = this.#queue.shift();
      this.#size -= size;
      connection.send(frames);
      sent?.(connection);
    }
    if (this.#queue.length && this.#connections().some((c) => c.ready)) this.#poll ??= setTimeout(() => this.#again(), POLL);
    if (!this.#full()) this.#room?.();
  }

  /** Forgets what waits; sends fail with error. undefined takes it back. */
  end(error) {
    this.#end = error;
    if (!error) return;
    this.#queue = [];
    this.#size = 0;
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#room?.();
  }

  #again() {
    this.#poll = undefined;
    this.pump();
  }

  /** The next connection that takes a message: round-robin over those that do. */
  #turn() {
    const all = this.#connections();
    for (let i = 0; i < all.length; i++) {
      const connection = all[this.#next++ % all.length];
      if (connection.writable) return connection;
    }
  }

  #full() {
    return this.#queue.length >= this.#options.sendHighWaterMark || this.#size >= this.#options.sendHighWaterBytes;
  }

  // A message larger than the queue's limit goes in if the queue is empty.
  #fits(size) {
    return !this.#queue.length || (!this.#full() && this.#size + size <= this.#options.sendHighWaterBytes);
  }

  async #wait() {
    const { sendTimeout } = this.#options;
    const late = new SocketError('EAGAIN', 'the send queue is full');
    if (!sendTimeout) throw late;
    let timer;
    try {
      await new Promise((resolve, reject) => {
        this.#room = resolve;
        if (sendTimeout > 0) timer = setTimeout(() => reject(late), sendTimeout);
      });
    } finally {
      clearTimeout(timer);
      this.#room = undefined;
    }
  }
}
