// A relay of the server over a Mux: ZWSMUX1.0 of zwsbridge.
// SPDX-License-Identifier: MPL-2.0

import type { Relay } from '../zws.js';
import type { Mux } from './mux.js';

/**
 * Returns what a socket connects to for a route with `relay = true`, over the login of a Mux.
 * The socket then logs in to the backend itself. With CURVE the bridge sees neither its keys
 * nor its messages:
 *
 *     const vault = new Dealer({ login: curve({ serverKey, publicKey, secretKey }) });
 *     await vault.connect(relay(mux, '/vault'));
 *
 * The `window` of the Mux does not apply: unread messages beyond `receiveHighWaterMark` are
 * dropped, as on a connection of its own.
 *
 * @param path The path of the route, such as `/vault`.
 * @throws TypeError for a path that does not begin with `/`; RangeError for one of more than
 * 65,535 bytes.
 */
export function relay(mux: Mux, path: string): Relay;
