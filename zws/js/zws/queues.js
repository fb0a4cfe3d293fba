// The receive queue and the send queue of a socket. SPDX-License-Identifier: MPL-2.0

import { SocketError } from './errors.js';

const POLL_INTERVAL = 10; // ms between checks of WebSockets whose buffers are full

/** Received messages: a queue for each connection, read round-robin. */
export class Inbox {
  #queues = new Map(); // by connection, in the order in which they are read
  #limit;
  #dropped;
  #reader;
  #end;

  /**
   * Keeps the newest limit messages of each connection and calls dropped for each older one.
   * A connection with a method _consumed has flow control: nothing of it is dropped, and
   * _consumed is called for each message that the application reads.
   */
  constructor(limit, dropped) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  /** Whether there is neither a message nor an error to read. */
  get empty() {
    return !this.#queues.size && !this.#end;
  }

  put(connection, message) {
    if (this.#reader) {
      this.#settle('resolve', message);
      connection._consumed?.();
      return;
    }
    const queue = this.#queues.get(connection) ?? [];
    this.#queues.set(connection, queue);
    queue.push(message);
    if (queue.length <= this.#limit || connection._consumed) return;
    queue.shift();
    this.#dropped(connection);
  }

  async take() {
    for (const [connection, queue] of this.#queues) {
      this.#queues.delete(connection);
      if (!queue.length) continue; // put adds it again
      const message = queue.shift();
      if (queue.length) this.#queues.set(connection, queue);
      connection._consumed?.();
      return message;
    }
    if (this.#end) throw this.#end;
    if (this.#reader) throw new SocketError('EBUSY', 'another receive is waiting');
    return new Promise((resolve, reject) => { this.#reader = { resolve, reject }; });
  }

  /** Makes reads fail with error once the queue is empty; undefined undoes that. */
  end(error) {
    this.#end = error;
    if (error) this.fail(error);
  }

  /** Rejects a waiting read. Returns whether there was one. */
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

/** Messages to send, handed round-robin to the connections that are writable. */
export class Outbox {
  #queue = [];
  #size = 0; // bytes
  #options;
  #connections;
  #next = 0;
  #room; // resolves the send that waits for room
  #poll;
  #end;

  /** connections() returns the current connections. */
  constructor(options, connections) {
    this.#options = options;
    this.#connections = connections;
  }

  /** Queues a message. sent, if given, is called with the connection that sends it. */
  async send(frames, sent) {
    if (this.#room) throw new SocketError('EBUSY', 'another send is waiting for room in the queue');
    const size = frames.reduce((n, frame) => n + frame.length, 0);
    while (!this.#end && !this.#fits(size)) await this.#wait();
    if (this.#end) throw this.#end;
    this.#size += size;
    this.#queue.push({ frames, size, sent });
    this.pump();
  }

  /** Sends as many messages as the connections take. */
  pump() {
    while (this.#queue.length) {
      const connection = this.#nextWritable();
      if (!connection) break;
      const { frames, size, sent } = this.#queue.shift();
      this.#size -= size;
      connection.send(frames);
      sent?.(connection);
    }
    // A WebSocket has no event for room in its buffer.
    if (this.#queue.length && this.#connections().some((c) => c.ready)) this.#poll ??= setTimeout(() => this.#pollAgain(), POLL_INTERVAL);
    if (!this.#full()) this.#room?.();
  }

  /** Discards the queue and makes sends fail with error; undefined undoes that. */
  end(error) {
    this.#end = error;
    if (!error) return;
    this.#queue = [];
    this.#size = 0;
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#room?.();
  }

  #pollAgain() {
    this.#poll = undefined;
    this.pump();
  }

  /** Returns the next writable connection, round-robin. */
  #nextWritable() {
    const all = this.#connections();
    for (let i = 0; i < all.length; i++) {
      const connection = all[this.#next++ % all.length];
      if (connection.writable) return connection;
    }
  }

  #full() {
    return this.#queue.length >= this.#options.sendHighWaterMark || this.#size >= this.#options.sendHighWaterBytes;
  }

  // An empty queue takes a message of any size.
  #fits(size) {
    return !this.#queue.length || (!this.#full() && this.#size + size <= this.#options.sendHighWaterBytes);
  }

  async #wait() {
    const { sendTimeout } = this.#options;
    const timeout = new SocketError('EAGAIN', 'the send queue is full');
    if (!sendTimeout) throw timeout;
    let timer;
    try {
      await new Promise((resolve, reject) => {
        this.#room = resolve;
        if (sendTimeout > 0) timer = setTimeout(() => reject(timeout), sendTimeout);
      });
    } finally {
      clearTimeout(timer);
      this.#room = undefined;
    }
  }
}
