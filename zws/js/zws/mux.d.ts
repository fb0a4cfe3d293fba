/// <reference lib="esnext.disposable" />
// Many ZeroMQ sockets on one WebSocket and one login: ZWSMUX1.0 of zwsbridge.
// SPDX-License-Identifier: MPL-2.0

import type { ConnectionOptions, Events, Route } from '../zws.js';

/** `login` is the result of `plain` or `bearer`; by default no credentials (mechanism NULL). CURVE is not supported. */
export interface MuxOptions extends ConnectionOptions {
  /**
   * How many bytes the server may send to one socket before the application reads them: 1 to
   * 2^31-1. A single message can be larger. Default: 256 KiB.
   */
  window?: number;
}

/**
 * One WebSocket with one login, shared by many sockets:
 *
 *     const mux = new Mux('/devices', { login: plain(user, password) });
 *     sub.connect(mux.route('/devices'));
 *     req.connect(mux.route('/control'));
 *
 * Sockets behave as on connections of their own and have the same events. A route that refuses
 * a socket does not affect the others. When the WebSocket is lost or the login is refused, all
 * sockets get the event. A socket that the application does not read does not block the
 * others: the bridge holds its messages back or drops them, as the route's `on_full` says.
 */
export class Mux {
  /**
   * Connects immediately, and reconnects until it is closed or refused.
   * @param url A URL as for a socket. It names a route of the ZAP domain to log in to.
   * @throws TypeError for an invalid URL or option, or for CURVE credentials; RangeError for a
   * number out of range.
   */
  constructor(url: string, options?: MuxOptions);

  readonly url: string;
  readonly state: 'connecting' | 'ready' | 'reconnecting' | 'refused' | 'closed';
  /** Milliseconds until the last answer to a ping; undefined before the first one. */
  readonly rtt: number | undefined;
  /** Whether the Mux is connected and logged in. */
  readonly ready: boolean;
  /** Whether the Mux was closed or refused. It cannot be opened again: make another one. */
  readonly closed: boolean;
  /** Events of the connection and its login. The sockets get the same ones. */
  readonly events: Events<'ready' | 'recovered' | 'disconnect' | 'refused' | 'expiring' | 'renewed'>;

  /**
   * Returns what a socket connects to for a route of the server. After `close`, connecting to
   * it throws a ClosedError.
   * @param path The path of the route, such as `/control`.
   * @throws TypeError for a path that does not begin with `/`; RangeError for one of more than
   * 65,535 bytes.
   */
  route(path: string): Route;

  /** Connects again at once, as {@link Socket.reconnect}. */
  reconnect(): void;

  /** Closes the connection; it may be called more than once. The sockets are disconnected from it and stay open. */
  close(): void;

  /** Closes the Mux: `await using mux = new Mux('/devices')`. */
  [Symbol.asyncDispose](): Promise<void>;
}
