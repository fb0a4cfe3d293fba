// The credentials that a socket logs in with. Secrets are kept in closures, so that neither
// logging nor JSON.stringify shows them. SPDX-License-Identifier: MPL-2.0
//
// Credentials are { mechanism, begin, token }. begin(properties, expired) returns the
// handshake of a new connection; expired is the previous handshake if its login has expired.
// token(), which only BEARER has, returns a promise of the current token.

import { EXPIRED, RefusedError } from './errors.js';
import { concat } from './frame.js';
import { Bearer, Null, Plain, plainHello } from './mechanism.js';

export const none = { mechanism: 'NULL', begin: async (properties) => new Null(properties) };

/** Returns PLAIN credentials; user and password have at most 255 bytes each. */
export function plain(user, password) {
  const hello = concat(...plainHello(user, password));
  return { mechanism: 'PLAIN', begin: async (properties) => new Plain(properties, hello) };
}

/** Returns BEARER credentials from a token, or from a function that returns the current one or a promise of it. */
export function bearer(token) {
  const current = async () => (typeof token === 'function' ? token() : token);
  return {
    mechanism: 'BEARER',
    token: current,
    async begin(properties, expired) {
      const value = await current();
      if (!value) throw new RefusedError(EXPIRED, 'no token to log in with');
      if (expired?.hasToken(value)) throw new RefusedError(EXPIRED, 'the login has expired and no newer token is available');
      return new Bearer(properties, value);
    },
  };
}

/** Returns CURVE credentials from { serverKey, publicKey, secretKey }, each 40 characters of Z85 or 32 bytes. */
export function curve(keys) {
  return {
    mechanism: 'CURVE',
    async begin(properties) {
      const { Curve } = await import('./curve.js');
      return new Curve(properties, keys);
    },
  };
}

/** Returns a promise of a new key pair, { publicKey, secretKey }, in Z85. */
export async function curveKeyPair() {
  const { keyPair } = await import('./curve.js');
  return keyPair();
}
