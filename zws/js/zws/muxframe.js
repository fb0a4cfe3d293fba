// Encodes and parses the frames of ZWSMUX1.0 (zws/PROTOCOL.md).
// SPDX-License-Identifier: MPL-2.0

import { parseCommand, parseNumber, short } from './command.js';
import { ProtocolError, checkLimits } from './errors.js';
import { Frame, Message, concat, toBytes } from './frame.js';

// The ops that a client sends, and those of a server with the most bytes of their rest and the sizes of their numbers.
const LOGIN = 1, OPEN = 3, MESSAGES = 5, CREDIT = 6, CLOSE = 7, RELAY = 11, OPEN_HISTORY = 13, PING = 21, BUNDLE = 23, MAX_BUNDLE = 1 << 16; // bytes
const COMMANDS = { RESUME: 16, ACK: 19, LAST: 20 };
const SERVER = {
  2: ['ready', 0, 4],
  4: ['opened', 0, 4, 4],
  [MESSAGES]: ['messages', Infinity, 4],
  [CREDIT]: ['credit', 0, 4, 4],
  [CLOSE]: ['close', 123, 4, 2],
  8: ['lost', 0, 4, 8],
  9: ['expiring', 0, 4],
  10: ['unsubscribed', Infinity, 4],
  12: ['relayed', 0, 4, 4, 1],
  14: ['opened-history', 0, 4, 4, 1],
  15: ['marked', Infinity, 4],
  17: ['resumed', Infinity, 4],
  18: ['live', Infinity, 4],
  22: ['pong', 16],
};
const BLOCK = 2048; // bytes

/** The most credit in bytes that a channel can have in one direction. */
export const MAX_CREDIT = 2 ** 31 - 1;

/** The most bytes of a route's path. */
export const MAX_ROUTE = 2 ** 16 - 1;

/** Encodes a big-endian number in size bytes, at most four. */
const number = (value, size = 4) => Uint8Array.from({ length: size }, (_, i) => value >>> (8 * (size - 1 - i)));

/** Encodes login. data is what follows the name of the mechanism: nothing for NULL, else the data of HELLO. */
export const login = (mechanism, data) => concat([LOGIN], short(mechanism), data);

/** Encodes login from the first command of a handshake: with the data of HELLO, or without data for NULL. */
export const loginOf = (mechanism, command) => login(mechanism, mechanism === 'NULL' ? [] : parseCommand(command).data);

/** Encodes ping; the server repeats the context. */
export const ping = (context) => concat([PING], context);

/** Encodes a path with its length in two bytes. */
function long(route) {
  const path = toBytes(route);
  return concat(number(path.length, 2), path);
}

/** Encodes open. window is the server's initial credit in bytes. */
export function open(channel, window, route, { type, routingId, history, queue }) {
  const body = concat(number(channel), number(window), short(type), short(routingId), long(route));
  if (!history) return concat([OPEN], body);
  return concat([OPEN_HISTORY], body, queue === undefined ? [0, 0] : concat([1], short(queue)));
}

/** Encodes relay. mechanism is the one that the client speaks with the peer behind the relay. */
export function relay(channel, window, route, { mechanism }) {
  return concat([RELAY], number(channel), number(window), short(mechanism), long(route));
}

export const credit = (channel, size) => concat([CREDIT], number(channel), number(size));

export const close = (channel, code) => concat([CLOSE], number(channel), number(code, 2));

/** Encodes resume, ack or last, whose data is that of the command with this name. */
export const command = (channel, name, data) => concat([COMMANDS[name]], number(channel), ...data);

/** Returns the credit that a message costs: its encoded size in bytes. */
export function costOf(frames) {
  let cost = 4;
  for (let i = 0; i < frames.length; i++) cost += 4 + frames[i].length;
  return cost;
}

/** Encodes messages with one message. */
export function message(channel, frames) {
  return concat([MESSAGES], number(channel), number(costOf(frames) - 4), ...frames.flatMap((frame) => [number(frame.length), frame]));
}

/**
 * Calls action for each frame of a WebSocket message: its op, its numbers (the channel first), and the
 * rest. What follows is ignored when an action has closed the link.
 */
export function eachFrame(data, link, action) {
  if (!(data instanceof ArrayBuffer)) throw new ProtocolError('text message, want a binary one', 1003);
  const all = new Uint8Array(data);
  if (all[0] !== BUNDLE) return action(parse(all));
  let start = 1;
  do {
    const size = parseNumber(all.subarray(start, start += 4), 4), frame = all.subarray(start, start += size);
    if (frame.length < size || all.length > MAX_BUNDLE) throw new ProtocolError('malformed bundle');
    action(parse(frame));
  } while (start < all.length && link._handshake);
}

function parse(frame) {
  const [op, most, ...sizes] = SERVER[frame[0]] ?? [];
  if (!op) throw new ProtocolError(`unknown op ${frame[0]}`);
  let offset = 1;
  const numbers = sizes.map((size) => parseNumber(frame.subarray(offset, offset += size), size)), rest = frame.subarray(offset);
  if (rest.length > most) throw new ProtocolError(`${op} is too long`);
  return { op, numbers, rest };
}

/**
 * Parses the messages of a frame. They are copied, several together up to BLOCK bytes: keeping one
 * does not keep all of a frame in memory, and a copy of each would take most of the time. The marks
 * of a frame of marked messages are added to marks: position and time. A message without credit, and
 * one that is too large, are found before any is copied, however large the frame is.
 */
export function parseMessages(rest, options, marks, credit = Infinity) {
  const largest = options.maxMessageSize + 4 * options.maxFrames; // encoded
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length), messages = [];
  /** Returns the end of the field whose length is at start, which must not exceed limit. */
  const endOf = (start, limit) => {
    const end = start + 4 > limit ? Infinity : start + 4 + view.getUint32(start);
    if (end > limit) throw new ProtocolError('malformed message: lengths do not match');
    return end;
  };
  // First of all, because making a message costs a hundred times as much.
  for (let at = 0, left = credit; at < rest.length;) {
    if (left <= 0) throw new ProtocolError('message without credit');
    const end = endOf(marks ? at + 9 + rest[at] : at, rest.length);
    left -= end - at;
    at = end;
  }
  let offset = 0, block, first = 0, last = 0; // the copy, and which part of rest it is
  do {
    if (marks) {
      const mark = rest.slice(offset, offset + 1 + rest[offset] + 8);
      offset += mark.length;
      marks.push(mark);
    }
    const start = offset, end = endOf(offset, rest.length), frames = new Message();
    if (end - start - 4 > largest) checkLimits(Infinity, 0, options);
    if (end > last) {
      first = start;
      last = Math.max(end, Math.min(start + BLOCK, rest.length));
      block = rest.slice(first, last).buffer;
    }
    let size = 0;
    offset += 4;
    do {
      const next = endOf(offset, end), frame = new Frame(block, offset + 4 - first, next - offset - 4);
      size += frame.length;
      frames[frames.length] = frame;
      checkLimits(size, frames.length, options);
      offset = next;
    } while (offset < end);
    messages.push(frames);
  } while (offset < rest.length);
  return messages;
}
