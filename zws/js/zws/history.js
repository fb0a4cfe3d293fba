// The history of a Sub: positions, resume, last values and queues (zws/PROTOCOL.md). Only a Sub
// with the option history loads this module.
// SPDX-License-Identifier: MPL-2.0

import { parseNumber, short } from './command.js';
import { ProtocolError } from './errors.js';
import { concat } from './frame.js';
import { sendSubscription } from './patterns.js';

const ACK_INTERVAL = 100; // ms
const ACK_COUNT = 100; // messages
const MAX_POSITION = 64; // bytes
const MAX_TOPIC = 2 ** 16 - 1; // bytes of a topic in RESUME
const RECENT = 1000; // messages of a queue that were read and are still recognized if they come again

const toPosition = (data) => btoa(String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/** Returns the bytes of a position. A malformed one becomes the empty one, which the server does not know either. */
function fromPosition(position) {
  try {
    const data = Uint8Array.from(atob(position.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    if (data.length <= MAX_POSITION) return data;
  } catch { /* not base64url */ }
  return new Uint8Array();
}

/** Splits data into the position that it begins with, and the rest. An empty position is undefined, and so is one that is too long. */
function splitPosition(data) {
  const end = 1 + data[0];
  if (!(end <= data.length)) throw new ProtocolError('malformed command: missing position');
  return [end > 1 && end <= 1 + MAX_POSITION ? toPosition(data.subarray(1, end)) : undefined, data.subarray(end)];
}

/** Returns the position that data is, undefined as for splitPosition. */
function onlyPosition(data) {
  const [position, rest] = splitPosition(data);
  if (rest.length) throw new ProtocolError('malformed command: more after the position');
  return position;
}

const long = (topic) => concat([topic.length >> 8, topic.length & 255], topic);

/**
 * The history of one Sub, across its connections. Messages that were received but not read
 * stay in the inbox when the connection is lost, and the socket resumes behind them. The inbox
 * sees History as the connection of all messages, one with flow control.
 */
export class History {
  /** The position of the last message that the application has read. */
  position;
  #sub;
  #queue;
  #limit;
  #connection;
  #kept = false; // whether the server of the current connection keeps a history
  #started = false; // whether a connection has had its subscriptions before
  #resuming = false; // whether RESUME is still to be sent
  #answered = false; // whether RESUMED has come on the current connection
  #replaying = false;
  #paused = false;
  #received; // the position to resume at
  #next = {}; // position and time of the message that comes next
  #unread = []; // for each message in the inbox: its connection, and the position when it is read
  #recent = new Set(); // positions of a queue's latest messages, read or not
  #finished = true; // whether the application has finished with what it has read
  #done; // the position up to which it has
  #acked; // on the current connection
  #unacked = 0; // messages
  #timer;

  constructor(sub, { queue, position, receiveHighWaterMark }) {
    this.#sub = sub;
    this.#queue = queue;
    this.#limit = Math.max(receiveHighWaterMark, 1);
    this.position = this.#received = position ?? undefined;
  }

  /** Sends what a new connection begins with. */
  ready(connection) {
    const queued = this.#queue !== undefined, positioned = this.#received !== undefined;
    this.#connection = connection;
    this.#kept = connection.history;
    this.#resuming = this.#kept && positioned && !queued;
    this.#answered = this.#replaying = this.#paused = false;
    this.#next = {};
    this.#acked = undefined;
    this.#acknowledge();
    if ((queued || positioned || this.#started) && !(this.#kept && (queued || positioned))) {
      queueMicrotask(() => this.#resumed(0)); // after the event of the login
    }
    this.#subscribeAll();
  }

  /** Sends a subscription or its end. RESUME has to come before the first one, with all topics of this task. */
  subscribe(connection, entry) {
    if (!this.#resuming) this.#send(entry);
    else queueMicrotask(() => this.#resuming && connection.ready && this.#subscribeAll());
  }

  /**
   * Handles a message. Returns what the inbox is to take for its connection, or undefined if
   * the message is not to be kept.
   */
  accept(connection, frames) {
    if (!this.#kept) return connection;
    const { position = this.#received, time } = this.#next, queued = this.#queue !== undefined;
    this.#next = {};
    if (queued && this.#replaying && this.#recent.has(position)) return undefined;
    if (this.#unread.length >= this.#limit && !connection._consumed) {
      this.#pause();
      return undefined;
    }
    this.#received = position;
    if (time) frames.time = time;
    this.#unread.push({ connection, position });
    if (queued) this.#remember(position);
    return this;
  }

  /** Handles a command of the server. */
  command(_, name, data) {
    if (!this.#kept) return;
    if (name === 'AT') this.#at(data);
    if (name === 'RESUMED') {
      const position = onlyPosition(data.subarray(1));
      // The first one of a queue names what was acknowledged; later ones are about gaps.
      if (this.#queue === undefined || this.#answered) this.#move(position);
      else this.#acked = position;
      this.#answered = this.#replaying = true;
      this.#resumed(data[0]);
    }
    if (name === 'LIVE') {
      this.#move(onlyPosition(data));
      this.#replaying = false;
      if (!this.#unread.length && this.#finished) this.#finishSoon();
    }
  }

  /** Notes that the application asks for a message: it has finished with those that it has read. */
  asked() {
    if (this.#queue === undefined || this.#finished) return;
    if (++this.#unacked < ACK_COUNT) return this.#finishSoon();
    this.#finish();
    this.#acknowledge();
  }

  /** Acknowledges what the application has read, before it closes the connection. */
  leave() {
    this.#finish();
    this.#acknowledge();
  }

  /** Notes that the application has read a message of the inbox. */
  _consumed() {
    const { connection, position } = this.#unread.shift();
    this.position = position;
    this.#finished = false;
    connection._consumed?.();
    if (!this.#paused || this.#unread.length > this.#limit / 2) return;
    this.#paused = false;
    this.#connection._open();
  }

  /** Sends all subscriptions: RESUME for those that the position applies to, then the others. */
  #subscribeAll() {
    const all = this.#sub._subscriptions(this.#connection), started = this.#started, resuming = this.#resuming;
    if (resuming && !all.length) return;
    this.#started = true;
    this.#resuming = false;
    // A topic that is new since the last connection is live only.
    const resumed = new Set(resuming ? all.filter(({ sent, topic }) => (sent || !started) && topic.length <= MAX_TOPIC) : []);
    if (resumed.size) {
      this.#connection.command('RESUME', short(fromPosition(this.#received)), ...Array.from(resumed, ({ topic }) => long(topic)));
    }
    for (const entry of all) {
      if (!resuming && this.#queue === undefined) entry.pending = entry.last; // nothing else shows what was missed
      if (!resumed.has(entry) || (started && entry.pending)) this.#send(entry);
      entry.sent = true;
      entry.pending = false; // what is resumed replaces last values
    }
  }

  /** Sends one subscription, with LAST if its last values are to be asked for, or its end. */
  #send(entry) {
    const { topic, count, pending } = entry;
    if (count && pending && this.#kept) this.#connection.command('LAST', topic);
    else sendSubscription(this.#connection, count ? 1 : 0, topic);
    entry.sent = true;
    entry.pending = false;
  }

  #at(data) {
    const [position, rest] = splitPosition(data), microseconds = rest.length && parseNumber(rest, 8);
    this.#next = { position, time: microseconds ? new Date(microseconds / 1000) : undefined };
  }

  /** Emits the event. flags are those of RESUMED. */
  #resumed(flags) {
    this.#sub._notify(this.#connection, 'resumed', { recovered: !!(flags & 1), gap: !!(flags & 2) });
  }

  /** Moves to a position up to which there is nothing more to receive. */
  #move(position) {
    if (position === undefined) return;
    this.#received = position;
    (this.#unread.at(-1) ?? this).position = position;
  }

  #remember(position) {
    this.#recent.add(position);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= this.#unread.length + RECENT) break;
      this.#recent.delete(oldest);
    }
  }

  /** Ends a connection without flow control until the application has read half of the inbox. */
  #pause() {
    this.#paused = true;
    this.#connection._drop();
    this.#sub._disconnected(this.#connection, {
      code: 1000, reason: `${this.#limit} unread messages; resumes when half of them are read`, delay: 0, cause: undefined,
    });
  }

  #finish() {
    this.#finished = true;
    if (this.#queue !== undefined) this.#done = this.position;
  }

  /** Acknowledges soon, with what follows. */
  #finishSoon() {
    this.#finish();
    if (this.#queue !== undefined) this.#timer ??= setTimeout(() => this.#acknowledge(), ACK_INTERVAL);
  }

  #acknowledge() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unacked = 0;
    if (!this.#kept || !this.#connection.ready || !this.#done || this.#done === this.#acked) return;
    this.#acked = this.#done;
    this.#connection.command('ACK', short(fromPosition(this.#done)));
  }
}
