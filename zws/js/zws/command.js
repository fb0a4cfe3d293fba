// Commands and their metadata (23/ZMTP). SPDX-License-Identifier: MPL-2.0

import { ProtocolError } from './errors.js';
import { concat, equal, toBytes, toText } from './frame.js';

const MAX_PROPERTIES = 64;
const LIBZMQ_ERROR = toBytes('^RROR');

/** Encodes a short string: its length in one byte, then its bytes. what names it in the error. */
export function short(value, what) {
  const data = toBytes(value);
  if (data.length > 255) throw new RangeError(`${what} of ${data.length} bytes, want at most 255`);
  return concat([data.length], data);
}

/** Encodes the body of a command frame. */
export const command = (name, ...data) => concat(short(name), ...data);

export function parseCommand(body) {
  // libzmq's PLAIN server sends ERROR with "^" (5E) instead of the length of the name.
  if (equal(body.subarray(0, 5), LIBZMQ_ERROR)) return { name: 'ERROR', data: body.subarray(5) };
  const end = 1 + body[0], name = toText(body.subarray(1, end));
  if (!(end <= body.length) || !/^[A-Za-z]+$/.test(name)) throw new ProtocolError('malformed command: missing name');
  return { name, data: body.subarray(end) };
}

/** Encodes metadata, *(name-size name value-size value), from pairs of name and value. */
export function metadata(properties) {
  return concat(...properties.flatMap(([name, value]) => {
    const data = toBytes(value), size = new DataView(new ArrayBuffer(4));
    size.setUint32(0, data.length);
    return [short(name), new Uint8Array(size.buffer), data];
  }));
}

/** Returns the properties by lower-case name. The first of several with the same name wins. */
export function parseMetadata(data) {
  const properties = new Map();
  for (let n = 0, offset = 0; offset < data.length; n++) {
    const nameEnd = offset + 1 + data[offset], start = nameEnd + 4;
    if (!data[offset] || start > data.length || n === MAX_PROPERTIES) throw new ProtocolError('malformed metadata');
    const size = new DataView(data.buffer, data.byteOffset + nameEnd).getUint32(0);
    if (size > data.length - start) throw new ProtocolError('malformed metadata');
    const name = toText(data.subarray(offset + 1, nameEnd)).toLowerCase();
    if (!properties.has(name)) properties.set(name, data.slice(start, start + size));
    offset = start + size;
  }
  return properties;
}

/** Returns the status of an ERROR command, 400 for a reason that is not a status. */
export function parseStatus(data) {
  if (!data.length || data.length !== 1 + data[0]) throw new ProtocolError('malformed ERROR');
  const reason = toText(data.subarray(1));
  return /^[345]00$/.test(reason) ? Number(reason) : 400;
}

/** Parses a big-endian number of size bytes. */
export function parseNumber(data, size) {
  if (data.length !== size) throw new ProtocolError(`number of ${data.length} bytes, want ${size}`);
  return data.reduce((n, byte) => n * 256 + byte, 0);
}
