// CURVE keys as text (32/Z85). SPDX-License-Identifier: MPL-2.0

import { RefusedError } from './errors.js';

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Returns the 32 bytes of a key, given as bytes or as 40 characters of Z85. The error does not show the key. */
export function decodeKey(key, what) {
  if (key instanceof Uint8Array && key.length === 32) return key.slice();
  const digits = typeof key === 'string' ? [...key].map((c) => DIGITS.indexOf(c)) : [];
  const view = new DataView(new ArrayBuffer(32));
  let invalid = digits.length !== 40 || digits.includes(-1);
  for (let i = 0; i < 8 && !invalid; i++) {
    const value = digits.slice(5 * i, 5 * i + 5).reduce((n, digit) => n * 85 + digit, 0);
    invalid = value > 0xFFFFFFFF;
    view.setUint32(4 * i, value);
  }
  if (invalid) throw new RefusedError(4400, `${what} is not a CURVE key: want 40 characters of Z85 or 32 bytes`);
  return new Uint8Array(view.buffer);
}

export function encodeKey(key) {
  const view = new DataView(key.buffer, key.byteOffset, 32);
  let text = '';
  for (let i = 0; i < 8; i++) {
    const value = view.getUint32(4 * i);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += DIGITS[Math.floor(value / power) % 85];
  }
  return text;
}
