// Many ZeroMQ sockets on one WebSocket and one login: ZWSMUX1.0 of zwsbridge.
// SPDX-License-Identifier: MPL-2.0

import type { Credentials, Events, Route, WebSocketClass } from '../zws.js';

export interface MuxOptions {
  /** What to log in with: `plain`, `bearer`, or by default nothing (mechanism NULL). CURVE cannot. */
  login?: Credentials;
  /**
   * Octets that the server may send to one socket before the page has read them: 1 to
   * 2^31-1. One message may be larger. Default: 256 KiB.
   */
  window?: number;
  /** Milliseconds from connecting to the end of the login. Default: 30,000. */
  handshakeTimeout?: number;
  /** Milliseconds before the first try after a loss; each further one waits twice as long. Default: 250. */
  reconnectInterval?: number;
  /** The longest wait between two tries, in milliseconds. Default: 30,000. */
  reconnectMaxInterval?: number;
  /** Default: the global one. Node 20 has none: take that of the package `ws`. */
  WebSocket?: WebSocketClass;
}

/**
 * One WebSocket and one login, which sockets share:
 *
 *     const mux = new Mux('/devices', { login: plain(user, password) });
 *     sub.connect(mux.route('/devices'));
 *     req.connect(mux.route('/control'));
 *
 * A socket does not know the difference: it has the same events, and a route that refuses it
 * leaves the others alone. A loss of the WebSocket, and a login that is refused for good,
 * are told to all. One socket that the page does not read holds up no other: the server
 * waits with what is for it, or drops it, as its route says.
 */
export class Mux {
  /**
   * Connects at once.
   * @param url A URL as for a socket. It names a route of the ZAP domain to log in to.
   * @throws TypeError for a URL that is none, or for a login by CURVE; RangeError for a window out of range.
   */
  constructor(url: string, options?: MuxOptions);

  readonly url: string;
  /** Whether it is logged in at present. */
  readonly ready: boolean;
  /** Whether it was closed or refused. Who wants to try again makes another. */
  readonly closed: boolean;
  /** Those of the connection. The sockets tell the same of their routes. */
  readonly events: Events<'ready' | 'recovered' | 'disconnect' | 'refused' | 'expiring' | 'renewed'>;

  /**
   * What a socket connects to for a route of the server: a path, as `/control`. Connecting
   * throws a SocketError with `ECLOSED` after `close`.
   * @throws TypeError for what is no path; RangeError for one of more than 65,535 octets.
   */
  route(path: string): Route;

  /** Ends the connection. Its sockets are disconnected from it, and not closed. */
  close(): void;
}
