// The frames of ZWSMUX1.0 (zws/PROTOCOL.md of zwsbridge): each is one WebSocket message.
// SPDX-License-Identifier: MPL-2.0

import { parseNumber, short } from './command.js';
import { ProtocolError, TOO_LARGE } from './errors.js';
import { Frame, concat, octets } from './frame.js';

// The ops of a client, and those of a server with the sizes of the numbers in them.
const LOGIN = 1, OPEN = 3, MESSAGES = 5, CREDIT = 6, CLOSE = 7, RELAY = 11;
const SERVER = {
  2: ['ready', 4],
  4: ['opened', 4, 4],
  [MESSAGES]: ['messages', 4],
  [CREDIT]: ['credit', 4, 4],
  [CLOSE]: ['close', 4, 2],
  8: ['lost', 4, 8],
  9: ['expiring', 4],
  10: ['unsubscribed', 4],
  12: ['relayed', 4, 4, 1],
};
const ENDLESS = ['messages', 'unsubscribed']; // what follows the numbers may be of any length
const MAX_REASON = 123; // octets of what follows those of close

/** Credit that a channel may have in one direction, in octets. */
export const MAX_CREDIT = 2 ** 31 - 1;

/** Octets of a path, whose length stands in two octets before it. */
export const MAX_ROUTE = 2 ** 16 - 1;

/** A number in size octets, of which there are at most four. */
const number = (value, size = 4) => Uint8Array.from({ length: size }, (_, i) => value >>> (8 * (size - 1 - i)));

/** data is what follows the name of the mechanism: nothing, or what HELLO has. */
export const login = (mechanism, data) => concat([LOGIN], short(mechanism), data);

/** A path. */
function long(route) {
  const path = octets(route);
  return concat(number(path.length, 2), path);
}

/** window is the credit that the server has to begin with. */
export function open(channel, window, route, { type, routingId }) {
  return concat([OPEN], number(channel), number(window), short(type), short(routingId), long(route));
}

/** The same for a relay, to whose peer the client logs in by mechanism. */
export function relay(channel, window, route, { mechanism }) {
  return concat([RELAY], number(channel), number(window), short(mechanism), long(route));
}

export const credit = (channel, size) => concat([CREDIT], number(channel), number(size));

export const close = (channel, code) => concat([CLOSE], number(channel), number(code, 2));

/** What a message costs: its octets in a frame. */
export const costOf = (frames) => frames.reduce((cost, frame) => cost + 4 + frame.length, 4);

/** One message. */
export function message(channel, frames) {
  return concat([MESSAGES], number(channel), number(costOf(frames) - 4), ...frames.flatMap((frame) => [number(frame.length), frame]));
}

/** Reads a frame of a server: its op, its numbers (a channel's comes first), and the rest. */
export function parse(data) {
  if (!(data instanceof ArrayBuffer)) throw new ProtocolError('text where octets are due', 1003);
  const frame = new Uint8Array(data), [op, ...sizes] = SERVER[frame[0]] ?? [];
  if (!op) throw new ProtocolError(`op ${frame[0]} is not a server's`);
  let at = 1;
  const numbers = sizes.map((size) => parseNumber(frame.subarray(at, at += size), size)), rest = frame.subarray(at);
  if (rest.length > (op === 'close' ? MAX_REASON : 0) && !ENDLESS.includes(op)) throw new ProtocolError(`${op} is too long`);
  return { op, numbers, rest };
}

/** Reads the messages of a frame. Each is a copy: one that is kept keeps no others. */
export function parseMessages(rest, { maxMessageSize, maxFrames }) {
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length), messages = [];
  /** Where that ends which has its length before it, at start, and has to end before limit. */
  const endOf = (start, limit) => {
    const end = start + 4 > limit ? Infinity : start + 4 + view.getUint32(start);
    if (end > limit) throw new ProtocolError('lengths in a message that do not fit together');
    return end;
  };
  let at = 0;
  do {
    const start = at, end = endOf(at, rest.length), { buffer } = rest.slice(start, end), frames = [];
    let size = 0;
    at += 4;
    do {
      const next = endOf(at, end), frame = new Frame(buffer, at + 4 - start, next - at - 4);
      size += frame.length;
      if (size > maxMessageSize || frames.length === maxFrames) {
        throw new ProtocolError(`a message of more than ${maxMessageSize} octets or ${maxFrames} frames`, TOO_LARGE);
      }
      frames.push(frame);
      at = next;
    } while (at < end);
    messages.push(frames);
  } while (at < rest.length);
  return messages;
}
