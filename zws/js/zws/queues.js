// The receive queue and the send queue of a socket. SPDX-License-Identifier: MPL-2.0

import { SocketError } from './errors.js';
import { limited } from './wait.js';

const POLL_INTERVAL = 10; // ms between checks of WebSockets whose buffers are full

const COMPACT = 1024; // taken items whose places a Fifo keeps

/** A queue that takes its first item in constant time. */
export class Fifo {
  #items = [];
  #first = 0;

  get length() {
    return this.#items.length - this.#first;
  }

  push(item) {
    this.#items.push(item);
  }

  /** Takes the last item, which is there. */
  pop() {
    return this.#items.pop();
  }

  /** Takes the first item, or returns undefined. */
  shift() {
    if (!this.length) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    if (this.#first > COMPACT || !this.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}

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
    let queue = this.#queues.get(connection);
    if (!queue) this.#queues.set(connection, queue = new Fifo());
    queue.push(message);
    if (queue.length <= this.#limit || connection._consumed) return;
    queue.shift();
    this.#dropped(connection);
  }

  /** How many messages are unread. */
  get size() {
    let size = 0;
    for (const queue of this.#queues.values()) size += queue.length;
    return size;
  }

  /** Returns a promise of the next message. owner identifies the reader for fail. */
  take({ timeout = -1, signal, owner } = {}) {
    for (const [connection, queue] of this.#queues) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      const message = queue.shift();
      if (!queue.length || this.#queues.size > 1) this.#queues.delete(connection); // put adds it again
      if (queue.length) this.#queues.set(connection, queue);
      connection._consumed?.();
      return Promise.resolve(message);
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#end) return Promise.reject(this.#end);
    if (this.#reader) return Promise.reject(new SocketError('EBUSY', 'another receive is waiting'));
    const start = (resolve, reject) => { this.#reader = { resolve, reject, owner }; };
    if (timeout < 0 && !signal) return new Promise(start);
    const timedOut = new SocketError('EAGAIN', `no message within ${timeout} ms`);
    return timeout === 0 ? Promise.reject(timedOut) : limited(start, { timeout, signal }, timedOut, () => { this.#reader = undefined; });
  }

  /** Makes reads fail with error once the queue is empty; undefined undoes that. */
  end(error) {
    this.#end = error;
    if (error) this.fail(error);
  }

  /** Rejects a waiting read, with an owner only that of the owner. Returns whether there was one. */
  fail(error, owner) {
    return !!this.#reader && (!owner || owner === this.#reader.owner) && this.#settle('reject', error);
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
  #sent;

  /** connections() returns the current connections; sent() is called for each message that one takes. */
  constructor(options, connections, sent) {
    this.#options = options;
    this.#sent = sent;
    this.#connections = connections;
  }

  /** How many messages wait. */
  get size() {
    return this.#queue.length;
  }

  /** Queues a message. sent, if given, is called with the connection that sends it. */
  async send(frames, { timeout = this.#options.sendTimeout, signal } = {}, sent) {
    signal?.throwIfAborted();
    if (this.#room) throw new SocketError('EBUSY', 'another send is waiting for room in the queue');
    const size = frames.reduce((n, frame) => n + frame.length, 0);
    while (!this.#end && !this.#fits(size)) await this.#wait({ timeout, signal });
    if (this.#end) throw this.#end;
    this.#size += size;
    const entry = { frames, size, sent };
    this.#queue.push(entry);
    this.pump();
    return entry;
  }

  /** Takes a message back that send has queued, if no connection has it. */
  remove(entry) {
    const i = this.#queue.indexOf(entry);
    if (i < 0) return;
    this.#queue.splice(i, 1);
    this.#size -= entry.size;
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
      this.#sent();
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

  async #wait(limits) {
    const timeout = new SocketError('EAGAIN', 'the send queue is full');
    if (!limits.timeout) throw timeout;
    try {
      await limited((resolve) => { this.#room = resolve; }, limits, timeout);
    } finally {
      this.#room = undefined;
    }
  }
}
