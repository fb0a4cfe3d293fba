// A relay of the server over a Mux: ZWSMUX1.0 of zwsbridge.
// SPDX-License-Identifier: MPL-2.0

import type { Relay } from '../zws.js';
import type { Mux } from './mux.js';

/**
 * What a socket connects to for a route with `relay = true`, over the login of a Mux. The
 * socket then logs in with who is behind, whose keys and traffic the server does not see:
 *
 *     const vault = new Dealer({ login: curve({ serverKey, publicKey, secretKey }) });
 *     await vault.connect(relay(mux, '/vault'));
 *
 * What is not read is dropped as on a connection of its own.
 * @throws TypeError for what is no path.
 */
export function relay(mux: Mux, path: string): Relay;
