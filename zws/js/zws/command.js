// Commands and their metadata (23/ZMTP). SPDX-License-Identifier: MPL-2.0

import { ProtocolError } from './errors.js';
import { concat, equal, octets, text } from './frame.js';

const MAX_PROPERTIES = 64;
const LIBZMQ_ERROR = octets('^RROR');

/** string = OCTET *VCHAR: what has its size in one octet before it. */
export function short(value, what) {
  const data = octets(value);
  if (data.length > 255) throw new RangeError(`${what} of ${data.length} octets, allowed are 255`);
  return concat([data.length], data);
}

/** The body of a command's frame. */
export const command = (name, ...data) => concat(short(name), ...data);

export function parseCommand(body) {
  // libzmq's PLAIN server sends ERROR with 5E where the size of the name should be.
  if (equal(body.subarray(0, 5), LIBZMQ_ERROR)) return { name: 'ERROR', data: body.subarray(5) };
  const end = 1 + body[0], name = text(body.subarray(1, end));
  if (!(end <= body.length) || !/^[A-Za-z]+$/.test(name)) throw new ProtocolError('a command without a name');
  return { name, data: body.subarray(end) };
}

/** metadata = *(name-size name value-size value), from pairs of name and value. */
export function metadata(properties) {
  return concat(...properties.flatMap(([name, value]) => {
    const data = octets(value), size = new DataView(new ArrayBuffer(4));
    size.setUint32(0, data.length);
    return [short(name), new Uint8Array(size.buffer), data];
  }));
}

/** The properties by name in lower case; of two with the same name the first counts. */
export function parseMetadata(data) {
  const properties = new Map();
  for (let n = 0, at = 0; at < data.length; n++) {
    const named = at + 1 + data[at], start = named + 4;
    if (!data[at] || start > data.length || n === MAX_PROPERTIES) throw new ProtocolError('malformed metadata');
    const size = new DataView(data.buffer, data.byteOffset + named).getUint32(0);
    if (size > data.length - start) throw new ProtocolError('malformed metadata');
    const name = text(data.subarray(at + 1, named)).toLowerCase();
    if (!properties.has(name)) properties.set(name, data.slice(start, start + size));
    at = start + size;
  }
  return properties;
}

/** The status of an ERROR: error-reason = OCTET 3DIGIT. Another reason means 400. */
export function parseStatus(data) {
  if (!data.length || data.length !== 1 + data[0]) throw new ProtocolError('malformed ERROR');
  const reason = text(data.subarray(1));
  return /^[345]00$/.test(reason) ? Number(reason) : 400;
}

/** The octets of a number, most significant first, as a Number. */
export function parseNumber(data, size) {
  if (data.length !== size) throw new ProtocolError('a number of the wrong size');
  return data.reduce((n, octet) => n * 256 + octet, 0);
}
