// Frames on the wire: a flag byte, then the body (45/ZWS). SPDX-License-Identifier: MPL-2.0

import { ProtocolError } from './errors.js';

export const LAST = 0x00, MORE = 0x01, COMMAND = 0x02;

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** The bytes of one received frame. */
export class Frame extends Uint8Array {
  /** Returns the frame as text, decoded as UTF-8. */
  toString() {
    return decoder.decode(this);
  }

  text() {
    return decoder.decode(this);
  }

  /** Returns the value of the frame as JSON. Throws a SyntaxError if it is not. */
  json() {
    return JSON.parse(decoder.decode(this));
  }

  // slice, map and the like return a plain Uint8Array.
  static get [Symbol.species]() {
    return Uint8Array;
  }
}

/** The frames of a received message. They are set one by one: push costs six times as much in a subclass of Array. */
export class Message extends Array {
  // Without it the arguments of a call are copied.
  constructor() {
    super();
  }

  /** Returns a frame as text, by default the last one. */
  text(index = -1) {
    return this.at(index).text();
  }

  /** Returns the value of a frame as JSON, by default the last one. */
  json(index = -1) {
    return this.at(index).json();
  }

  // map, slice and the like return a plain Array.
  static get [Symbol.species]() {
    return Array;
  }
}

/** Returns a copy of a caller's data, because it can wait in a queue while the caller reuses the original. */
export function toBytes(data) {
  if (typeof data === 'string') return encoder.encode(data);
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0));
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  throw new TypeError(`unsupported data of type ${typeof data}: want a string, an ArrayBuffer or a view of one`);
}

export const toText = (data) => decoder.decode(data);

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

export const encode = (flag, body) => concat([flag], body);

/** Parses a WebSocket message. The body is a view of it. */
export function parse(data) {
  if (!(data instanceof ArrayBuffer)) throw new ProtocolError('text message, want a binary one', 1003);
  const message = new Uint8Array(data), flag = message[0];
  if (!message.length) throw new ProtocolError('empty message');
  if (flag > COMMAND) throw new ProtocolError(`unknown flag byte ${flag}, want 0, 1 or 2`);
  return { flag, body: message.subarray(1) };
}

export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
