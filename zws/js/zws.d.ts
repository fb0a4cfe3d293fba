// ZeroMQ sockets for browsers, over WebSocket (45/ZWS).
// SPDX-License-Identifier: MPL-2.0

/** What can be sent as one frame. A string is sent as UTF-8. */
export type FrameLike = string | ArrayBuffer | ArrayBufferView;

/** What can be sent: one frame, or all frames of a message, of which there is at least one. */
export type MessageLike = FrameLike | readonly FrameLike[];

/** The octets of one received frame. */
export class Frame extends Uint8Array {
  /** The frame as text: UTF-8. */
  toString(): string;
}

/** What a socket logs in with: made by {@link plain}, {@link bearer} or {@link curve}. */
export interface Credentials {
  readonly mechanism: 'NULL' | 'PLAIN' | 'BEARER' | 'CURVE';
}

/**
 * A user name and a password.
 * @throws RangeError if one of them has more than 255 octets.
 */
export function plain(user: string, password: string): Credentials;

/**
 * A token, or a function that gives the token that is valid now, or a promise of it.
 *
 * The function is called for every login, when the server says that the login is about to
 * end, and when it has ended. It gives the same token again if there is no newer one: before
 * the end it is then called again each time that half of the time left has gone. It gives an
 * empty one if nobody is logged in any more: then the socket is refused with 4401. If it
 * throws, it is asked again later.
 */
export function bearer(
  token: string | (() => string | null | undefined | Promise<string | null | undefined>),
): Credentials;

/** CURVE keys, as 40 characters of Z85 or 32 octets. */
export interface CurveKeys {
  /** The public key of the server: the bridge, or a libzmq socket with `ws://`; on a relay, the device's. */
  serverKey: string | Uint8Array;
  publicKey: string | Uint8Array;
  secretKey: string | Uint8Array;
}

/** CURVE. What it needs beyond the rest is loaded when it is used. */
export function curve(keys: CurveKeys): Credentials;

/** Makes a key pair, in Z85. */
export function curveKeyPair(): Promise<{ publicKey: string; secretKey: string }>;

/** The class that a `WebSocket` is made of, where there is no global one or another is wanted. */
export type WebSocketClass = new (url: string, protocols: string[]) => any;

export interface SocketOptions {
  /** What to log in with. Default: nothing (mechanism NULL). */
  login?: Credentials;
  /** What this socket calls itself: at most 255 octets. Default: empty. */
  routingId?: FrameLike;
  /** Messages that wait until a connection can take them. Default: 1000. */
  sendHighWaterMark?: number;
  /** Octets that wait likewise. Default: 4 MiB. */
  sendHighWaterBytes?: number;
  /**
   * How many milliseconds `send` waits for room in the queue before it rejects with
   * `EAGAIN`. 0: not at all. Default: -1, for ever.
   */
  sendTimeout?: number;
  /**
   * Messages of one connection that wait to be read. A browser cannot ask a server to wait:
   * beyond it the oldest are dropped, which the event `lost` tells. Default: 1000. On a
   * route of a `Mux` its `window` counts instead.
   */
  receiveHighWaterMark?: number;
  /** Octets of one message, in either direction, all frames together. Default: 1 MiB. */
  maxMessageSize?: number;
  /** Frames of one message, in either direction. Default: 1000. */
  maxFrames?: number;
  /** Milliseconds from connecting to the end of the login. Default: 30,000. */
  handshakeTimeout?: number;
  /** Milliseconds before the first try after a loss; each further one waits twice as long. Default: 250. */
  reconnectInterval?: number;
  /** The longest wait between two tries, in milliseconds. Default: 30,000. */
  reconnectMaxInterval?: number;
  /** Default: the global one. Node 20 has none: take that of the package `ws`. */
  WebSocket?: WebSocketClass;
}

/** A route of a server, reached over a connection that others share: made by `Mux`. */
export interface Route {
  /** The URL that a connection of its own would have. */
  readonly url: string;
}

/** A route that is a relay, reached likewise: made by `relay`. */
export interface Relay extends Route {
  readonly relay: true;
}

/** What the handlers of `events` are given. `url` is the connection's. */
export interface SocketEvents {
  /**
   * The first login on this URL has succeeded. `zmtp` is there behind a relay: the version
   * that the peer at its other end speaks, as '3.1'.
   */
  ready: { url: string; zmtp?: string };
  /** A later login has succeeded; subscriptions are back. */
  recovered: { url: string; zmtp?: string };
  /**
   * The connection was lost, or could not be made, and is tried again in `delay`
   * milliseconds. `code` and `reason` are the server's, or 1006. `cause` is what the token
   * function threw, if it did.
   */
  disconnect: { url: string; code: number; reason: string; delay: number; cause?: unknown };
  /**
   * The server does not want this socket, and the URL is not tried again. `code` and
   * `reason` are the server's; `status` is that of its ERROR, 0 without one.
   */
  refused: { url: string; code: number; reason: string; status: number };
  /** So many messages were dropped: by the server for a slow client, or unread by this page. */
  lost: { url: string; count: number };
  /** The login ends in so many seconds. With `bearer` and a function, it is renewed now. */
  expiring: { url: string; seconds: number };
  /** The server has taken the new token. */
  renewed: { url: string };
  /**
   * The login on this URL no longer allows the subscription to `topic`: the server has
   * dropped it, and it is not asked for again on this URL unless `subscribe` is called with
   * the topic. If it is not allowed then either, the URL is refused with 4403.
   */
  unsubscribed: { url: string; topic: Frame };
}

/** Both throw a TypeError for an event that there is not. */
export interface Events<Names extends keyof SocketEvents = keyof SocketEvents> {
  on<Name extends Names>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  off<Name extends Names>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
}

export interface ConnectOptions {
  /** What to log in with on this URL. Default: the socket's `login`. */
  login?: Credentials;
}

export abstract class Socket {
  readonly type: 'SUB' | 'XSUB' | 'DEALER' | 'REQ' | 'PUSH' | 'PULL' | 'PAIR';
  readonly events: Events;
  readonly closed: boolean;
  /** Whether at least one URL is ready. */
  readonly ready: boolean;

  /**
   * Connects to a URL: `wss://…`, `ws://…`, or one relative to the page's. May be called for
   * several, whose messages are read in turn; each sent message goes to one of those that
   * are ready, in turn. A URL that has refused can be connected to again, with other
   * credentials.
   *
   * The promise resolves when the server is ready and rejects with a {@link RefusedError}
   * if it never will be. Nobody needs to await it.
   * @throws TypeError for a URL or a login that is none, SocketError with `EINUSE` or `ECLOSED`.
   */
  connect(url: string, options?: ConnectOptions): Promise<void>;

  /** Connects to a route of a `Mux`, with the login of that. URLs and routes may be mixed. */
  connect(route: Route): Promise<void>;

  /** Connects over a `Mux` to who is behind a relay, and logs in there. */
  connect(relay: Relay, options?: ConnectOptions): Promise<void>;

  /** Ends the connection to a URL or a route. */
  disconnect(target: string | Route): void;

  /** Ends all connections. What no connection has taken yet is not sent. */
  close(): void;
}

export interface Readable extends AsyncIterable<Frame[]> {
  /**
   * The next message. It rejects with a {@link RefusedError} when every URL has refused,
   * and with a {@link SocketError}: `ECLOSED` after `close`, `EBUSY` while another
   * `receive` waits. `for await` throws the former and ends at `close`.
   */
  receive(): Promise<Frame[]>;
}

export interface Writable {
  /**
   * Sends a message. The promise resolves when the message is in the send queue, which is
   * at once unless the queue is full, and rejects with a {@link RefusedError} when every
   * URL has refused, with a {@link SocketError}: `EAGAIN` after `sendTimeout`, `EBUSY` while
   * another `send` waits for room, `ECLOSED` after `close`, and with a RangeError or a
   * TypeError for what is no message or too large.
   */
  send(message: MessageLike): Promise<void>;
}

/** Receives what is published under the topics that it has subscribed to. */
export class Sub extends Socket implements Readable {
  constructor(options?: SocketOptions);
  /** Subscribes to what begins with one of the topics; without any, to everything. */
  subscribe(...topics: FrameLike[]): void;
  /** Takes back as many calls of `subscribe` with the same topics. */
  unsubscribe(...topics: FrameLike[]): void;
  receive(): Promise<Frame[]>;
  [Symbol.asyncIterator](): AsyncIterator<Frame[]>;
}

/** As Sub; it can also send, to all publishers that are ready. 01 or 00 and a topic is a subscription or its end. */
export class XSub extends Sub implements Writable {
  send(message: MessageLike): Promise<void>;
}

/** Sends to and receives from anyone, at any time. */
export class Dealer extends Socket implements Readable, Writable {
  constructor(options?: SocketOptions);
  send(message: MessageLike): Promise<void>;
  receive(): Promise<Frame[]>;
  [Symbol.asyncIterator](): AsyncIterator<Frame[]>;
}

/**
 * Sends a request, then receives its reply. `send` rejects with `EFSM` before the reply to
 * the last request has come, `receive` with `EFSM` where no request was sent, and with
 * `ELOST` if the connection is lost before the reply.
 */
export class Req extends Socket implements Readable, Writable {
  constructor(options?: SocketOptions);
  send(message: MessageLike): Promise<void>;
  receive(): Promise<Frame[]>;
  [Symbol.asyncIterator](): AsyncIterator<Frame[]>;
}

export class Push extends Socket implements Writable {
  constructor(options?: SocketOptions);
  send(message: MessageLike): Promise<void>;
}

export class Pull extends Socket implements Readable {
  constructor(options?: SocketOptions);
  receive(): Promise<Frame[]>;
  [Symbol.asyncIterator](): AsyncIterator<Frame[]>;
}

/** Has one connection at a time. */
export class Pair extends Socket implements Readable, Writable {
  constructor(options?: SocketOptions);
  send(message: MessageLike): Promise<void>;
  receive(): Promise<Frame[]>;
  [Symbol.asyncIterator](): AsyncIterator<Frame[]>;
}

// The names of zeromq.js.
export { Req as Request, Sub as Subscriber, XSub as XSubscriber };

/** What a socket cannot do at present. */
export class SocketError extends Error {
  readonly code: 'EAGAIN' | 'EBUSY' | 'ECLOSED' | 'EFSM' | 'EINUSE' | 'ELOST';
}

/** A server does not want this socket, and trying again with the same credentials has no use. */
export class RefusedError extends Error {
  /** The WebSocket close code: those of the bridge's table, or of RFC 6455. */
  readonly code: number;
  /** For a person. */
  readonly reason: string;
  /** 300, 400 or 500 of the server's ERROR command, 0 without one. */
  readonly status: number;
}
