// Frames as they travel: a flag octet, then the body (45/ZWS). SPDX-License-Identifier: MPL-2.0

import { ProtocolError } from './errors.js';

export const LAST = 0x00, MORE = 0x01, COMMAND = 0x02;

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** The octets of one received frame. */
export class Frame extends Uint8Array {
  /** The frame as text: UTF-8. */
  toString() {
    return decoder.decode(this);
  }

  // What is cut or copied out of a frame is plain octets.
  static get [Symbol.species]() {
    return Uint8Array;
  }
}

/** The octets of what a caller gave: a copy, because it may wait in a queue. */
export function octets(data) {
  if (typeof data === 'string') return encoder.encode(data);
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0));
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  throw new TypeError('neither a string nor an ArrayBuffer or a view of one');
}

export const text = (data) => decoder.decode(data);

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const encode = (flag, body) => concat([flag], body);

/** Reads a WebSocket message; the body is a view of it. */
export function parse(data) {
  if (!(data instanceof ArrayBuffer)) throw new ProtocolError('text where octets are due', 1003);
  const message = new Uint8Array(data), flag = message[0];
  if (!message.length) throw new ProtocolError('an empty message: the flag octet is missing');
  if (flag > COMMAND) throw new ProtocolError(`flag octet ${flag} is not one of this protocol`);
  return { flag, body: message.subarray(1) };
}

export function equal(a, b) {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
