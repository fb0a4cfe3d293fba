// What a socket logs in with. The secrets stay in closures: nothing that is logged or made
// JSON shows them. SPDX-License-Identifier: MPL-2.0
//
// Credentials are { mechanism, begin, token }: begin(properties, expired) makes the
// handshake of a new connection, where expired, if given, is one whose login has expired;
// token(), which only BEARER has, gives the token that is valid now.

import { EXPIRED, RefusedError } from './errors.js';
import { concat } from './frame.js';
import { Bearer, Null, Plain, helloOfPlain } from './mechanism.js';

export const none = { mechanism: 'NULL', begin: async (properties) => new Null(properties) };

/** A user name and a password of at most 255 octets each. */
export function plain(user, password) {
  const hello = concat(...helloOfPlain(user, password));
  return { mechanism: 'PLAIN', begin: async (properties) => new Plain(properties, hello) };
}

/** A token, or a function that gives the one that is valid now, or a promise of it. */
export function bearer(token) {
  const current = async () => (typeof token === 'function' ? token() : token);
  return {
    mechanism: 'BEARER',
    token: current,
    async begin(properties, expired) {
      const value = await current();
      if (!value) throw new RefusedError(EXPIRED, 'there is no token to log in with');
      if (expired?.carries(value)) throw new RefusedError(EXPIRED, 'the login has expired, and there is no newer token');
      return new Bearer(properties, value);
    },
  };
}

/** { serverKey, publicKey, secretKey }, each 40 characters of Z85 or 32 octets. */
export function curve(keys) {
  return {
    mechanism: 'CURVE',
    async begin(properties) {
      const { Curve } = await import('./curve.js');
      return new Curve(properties, keys);
    },
  };
}

/** A new key pair: { publicKey, secretKey } in Z85. */
export async function curveKeyPair() {
  const { keyPair } = await import('./curve.js');
  return keyPair();
}
