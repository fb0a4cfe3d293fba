/// <reference lib="esnext.disposable" />
// ZeroMQ sockets for browsers, over WebSocket (45/ZWS).
// SPDX-License-Identifier: MPL-2.0

/** Data to send as one frame. A string is sent as UTF-8. The data is copied. */
export type FrameLike = string | ArrayBuffer | ArrayBufferView;

/** A message to send: one frame, or an array of at least one frame. */
export type MessageLike = FrameLike | readonly FrameLike[];

/** The bytes of one received frame. */
export class Frame extends Uint8Array {
  /** Returns the frame as text, decoded as UTF-8. */
  toString(): string;
  /** As `toString`. */
  text(): string;
  /** Returns the value of the frame as JSON. @throws SyntaxError if it is not JSON. */
  json(): any;
}

/** A received message. */
export interface Message extends Array<Frame> {
  /** Returns a frame as text, by default the last one. */
  text(index?: number): string;
  /** Returns the value of a frame as JSON, by default the last one. @throws SyntaxError if it is not JSON. */
  json(index?: number): any;
  /** When the server received the message, if it comes from the history of a Sub. */
  time?: Date;
}

/** What a socket logs in with: the result of {@link plain}, {@link bearer} or {@link curve}. */
export interface Credentials {
  readonly mechanism: 'NULL' | 'PLAIN' | 'BEARER' | 'CURVE';
}

/**
 * Returns credentials of a user name and a password.
 * @throws RangeError if one of them has more than 255 bytes in UTF-8.
 */
export function plain(user: string, password: string): Credentials;

/**
 * Returns credentials of a token, or of a function that returns the current token or a promise
 * of it.
 *
 * The function is called for each login, when the server announces that the login is about to
 * expire, and after it has expired. It may return the same token if it has no newer one:
 * before the expiry it is then called again after half of the time left, and so on. If it
 * returns an empty token, the socket is refused with 4401. If it throws, or takes longer than
 * `handshakeTimeout`, it is called again later, and the event `disconnect` has the error as
 * `cause`. It is called once at a time.
 */
export function bearer(
  token: string | (() => string | null | undefined | Promise<string | null | undefined>),
): Credentials;

/** CURVE keys, each as 40 characters of Z85 or 32 bytes. */
export interface CurveKeys {
  /** The public key of the server: of the bridge or a libzmq socket with `ws://`, or on a relay of the backend. */
  serverKey: string | Uint8Array;
  publicKey: string | Uint8Array;
  secretKey: string | Uint8Array;
}

/** Returns CURVE credentials. The modules with the cryptography are loaded on the first login. Invalid keys are refused with 4400. */
export function curve(keys: CurveKeys): Credentials;

/** Returns a promise of a new key pair in Z85. */
export function curveKeyPair(): Promise<{ publicKey: string; secretKey: string }>;

/** A class to use instead of the global `WebSocket`. */
export type WebSocketClass = new (url: string, protocols: string[]) => any;

/**
 * How to connect. Wrong options throw where they are given: a TypeError for a wrong type or an
 * unknown name, a RangeError for a number out of range. Times are in milliseconds, at most
 * 2^31-1; -1 and 0 mean what they mean in zeromq.js.
 */
export interface ConnectionOptions {
  /** The credentials. Default: none (mechanism NULL). */
  login?: Credentials;
  /**
   * How long connecting and logging in may take, with the time of the token function of
   * `bearer`. 0 means without limit. Default: 30,000.
   */
  handshakeTimeout?: number;
  /** The delay before the first attempt to reconnect; it doubles with each one. -1 means never to reconnect. Default: 250. */
  reconnectInterval?: number;
  /** The longest delay between two attempts; 0 means always `reconnectInterval`. Default: 30,000. */
  reconnectMaxInterval?: number;
  /**
   * Returns the delay before an attempt, the first one being 1, instead of the two options
   * above. The server's advice ("; retry in 5s") comes first.
   */
  backoff?: (attempt: number) => number;
  /**
   * How the socket finds out that the server is not there any more: it sends a ping in each
   * `interval`, and connects again if nothing comes within `timeout`; both are at least 20. It
   * needs a server that answers: zwsbridge, or a peer of ZMTP 3.1 behind a relay. `false` means
   * no pings. Default: 30,000 and 10,000.
   */
  heartbeat?: false | { interval?: number; timeout?: number };
  /** Writes every event to `console.debug`. Default: false. */
  debug?: boolean;
  /** A WebSocket class. Default: the global one. Node 20 has none: pass the one of the package `ws`. */
  WebSocket?: WebSocketClass;
}

export interface SocketOptions extends ConnectionOptions {
  /** The routing id of this socket: at most 255 bytes. Default: empty. */
  routingId?: FrameLike;
  /** How many messages the send queue holds; 0 means any number. Default: 1000. */
  sendHighWaterMark?: number;
  /** How many bytes the send queue holds; 0 means any number. Default: 4 MiB. */
  sendHighWaterBytes?: number;
  /**
   * How long `send` waits for room in the queue before it rejects with `EAGAIN`. 0 means not at
   * all, -1 without limit. Default: -1.
   */
  sendTimeout?: number;
  /** How long `receive` waits for a message before it rejects with `EAGAIN`. 0 means not at all, -1 without limit. Default: -1. */
  receiveTimeout?: number;
  /**
   * How many unread messages are kept for each connection to a server without flow control; 0
   * means any number. Older messages are dropped, and the event `lost` reports how many.
   * Default: 1000. zwsbridge has flow control, except with CURVE and on relays: it may send 1
   * MiB that is unread, or the `window` of a `Mux`.
   */
  receiveHighWaterMark?: number;
  /** The most bytes of one message in either direction, all frames together; -1 means any number. Default: 1 MiB. */
  maxMessageSize?: number;
  /** The most frames of one message in either direction; -1 means any number. Default: 1000. */
  maxFrames?: number;
}

/** A route of the server over a shared connection: the result of `Mux.route`. */
export interface Route {
  /** The URL that a connection of its own would have. */
  readonly url: string;
}

/** A relay of the server over a shared connection: the result of `relay`. */
export interface Relay extends Route {
  readonly relay: true;
}

/** The arguments of event handlers. `url` is that of the connection. */
export interface SocketEvents {
  /**
   * The first login to this URL has succeeded. On a relay `zmtp` is the version that the
   * backend speaks, such as '3.1'.
   */
  ready: { url: string; zmtp?: string };
  /** The socket has reconnected and logged in again; its subscriptions are restored. */
  recovered: { url: string; zmtp?: string };
  /**
   * The connection was lost or could not be made; the next attempt is in `delay`
   * milliseconds. `code` and `reason` come from the server; without a close frame the code is
   * 1006. A reason can end in advice, such as "; retry in 5s": then the delay is that long and
   * up to half as long in addition, whatever `reconnectMaxInterval` is. `cause` is the error of the token function, if there was one.
   *
   * A Sub with a history ends a connection itself, with code 1000 and a `delay` of 0, if
   * `receiveHighWaterMark` messages are unread. It resumes when half of them are read.
   */
  disconnect: { url: string; code: number; reason: string; delay: number; cause?: unknown };
  /**
   * The server has refused this socket for good, or `reconnectInterval` is -1; the socket does not
   * try this URL again.
   * `code` and `reason` come from the server; `status` is that of its ERROR command, 0 without
   * one.
   */
  refused: { url: string; code: number; reason: string; status: number };
  /** `count` messages were dropped: by the bridge because the client was too slow, or here because they were not read. */
  lost: { url: string; count: number };
  /** The login expires in `seconds`. With `bearer` and a function the socket now renews it. */
  expiring: { url: string; seconds: number };
  /** The server has accepted the new token. */
  renewed: { url: string };
  /**
   * The login on this URL no longer permits the subscription to `topic`, and the server has
   * removed it. The socket does not send it to this URL again until the application calls
   * `subscribe` with the topic. If it is still not permitted then, the URL refuses with 4403.
   */
  unsubscribed: { url: string; topic: Frame };
  /**
   * Of a Sub with a history: how it continues after a reconnect, at a stored position, or with
   * a queue. `recovered` is false if messages are missing, for example because the server does
   * not keep them any more or keeps none; what it still keeps follows. `gap` is true if the
   * server itself was cut off from a publisher in between and may have missed messages. While the
   * socket is connected, the event comes when that has just happened (`recovered` and `gap` are
   * true), or when the socket was too slow for what the server keeps (`recovered` is false).
   */
  resumed: { url: string; recovered: boolean; gap: boolean };
}

/** Event handlers. All methods throw a TypeError for an unknown event. */
export interface Events<Names extends keyof SocketEvents = keyof SocketEvents> {
  on<Name extends Names>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  /** Calls the handler for the next event only. */
  once<Name extends Names>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  off<Name extends Names>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
}

/** How long one call waits. Wrong options are a TypeError or a RangeError, as those of a socket. */
export interface WaitOptions {
  /** As the option `sendTimeout` or `receiveTimeout` of the socket, which are the defaults. */
  timeout?: number;
  /** Rejects with the signal's reason when it is aborted. */
  signal?: AbortSignal;
}

/** How a socket that receives makes values of messages. */
export interface Decoding<T> {
  /**
   * Returns what `receive`, `for await` and the event `message` get for a message. The first two
   * reject with what it throws. Default: the message itself.
   */
  decode?: (message: Message) => T;
}

/** Counters since the socket was made, and what waits now. */
export interface Stats {
  received: number;
  sent: number;
  /** Messages dropped, here or by the bridge. */
  dropped: number;
  reconnects: number;
  /** Messages that were received and not read. */
  unread: number;
  /** Messages in the send queue. */
  queued: number;
  /** Milliseconds until the last answer to a ping; undefined before the first one. */
  rtt: number | undefined;
}

export interface ConnectOptions {
  /** Disconnects from the URL, and rejects with the signal's reason, if it is aborted before the server is ready. */
  signal?: AbortSignal;
  /** The credentials for this URL. Default: the socket's `login`. */
  login?: Credentials;
}

export abstract class Socket {
  readonly type: 'SUB' | 'XSUB' | 'DEALER' | 'REQ' | 'PUSH' | 'PULL' | 'PAIR';
  readonly events: Events;
  readonly closed: boolean;
  /** Whether at least one connection is ready. */
  readonly ready: boolean;
  /** `idle` without a URL, or after the last was disconnected; `refused` after the last has refused. */
  readonly state: 'idle' | 'connecting' | 'ready' | 'reconnecting' | 'refused' | 'closed';
  readonly stats: Stats;

  /** As that of `events`. */
  on<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  once<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  off<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;

  /**
   * Connects to a URL: `wss://…`, `ws://…`, or one relative to the page's. With several URLs
   * messages are read round-robin, and each sent message goes to the next ready one. After a
   * refusal the same URL can be connected to again, with other credentials.
   *
   * The promise resolves when the server is ready. It rejects with a {@link RefusedError} if
   * the server refuses for good, and with a {@link ClosedError} if `close` or `disconnect` is
   * called first. It may be ignored.
   * @throws TypeError for an invalid URL or login; SocketError with `EINUSE` if the socket is
   * already connected to the URL; ClosedError after `close`.
   */
  connect(url: string | URL, options?: ConnectOptions): Promise<void>;

  /** Connects to a route of a `Mux`, with the login of the Mux. A socket can have both URLs and routes. */
  connect(route: Route): Promise<void>;

  /** Connects to the backend of a relay over a `Mux`, and logs in to that backend. */
  connect(relay: Relay, options?: ConnectOptions): Promise<void>;

  /**
   * Connects again at once: gives up waiting for the next attempt, or closes the connections
   * that there are. Without it a socket tries at once when the network comes back or the page is
   * shown again (`online`, `pageshow`, `visibilitychange`), unless the server has said when.
   * @throws ClosedError after `close`.
   */
  reconnect(): void;

  /** Closes the connection to a URL or a route. */
  disconnect(target: string | URL | Route): void;

  /**
   * Waits until the send queue is empty and the browser has sent everything. It rejects when the
   * socket is closed or its last URL has refused.
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>;

  /** Closes all connections; it may be called more than once. Messages in the send queue are discarded. */
  close(): void;

  /** Closes the socket: `await using sock = new Sub()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Readable<T = Message> extends AsyncIterable<T> {
  /**
   * Returns a promise of the next message. It rejects with a {@link RefusedError} when every
   * URL has refused, with a {@link ClosedError} after `close` or when the last URL was
   * disconnected, and with a {@link SocketError}: `EAGAIN` after `receiveTimeout`, `EBUSY` while
   * another `receive` is waiting. `for await` throws the same, but has no time limit, and ends
   * without an error instead of a ClosedError.
   */
  receive(options?: WaitOptions): Promise<T>;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
}

export interface Writable {
  /**
   * Sends a message. The promise resolves when the message is in the send queue: immediately,
   * unless the queue is full. It rejects
   * - with a {@link RefusedError} when every URL has refused,
   * - with a {@link SocketError}: `EAGAIN` after `sendTimeout`, `EBUSY` while another `send`
   *   waits for room,
   * - with a {@link ClosedError} after `close`,
   * - with a TypeError for a frame of another type than {@link FrameLike},
   * - with a RangeError for a message without frames, or beyond `maxMessageSize` or `maxFrames`.
   */
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

/** A socket that receives. */
declare abstract class ReadableSocket<T> extends Socket implements Readable<T> {
  receive(options?: WaitOptions): Promise<T>;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
  /**
   * Calls the handler for each message, as long as there are handlers. Meanwhile `receive` rejects
   * with `EBUSY`. An error of the page's handler or decoder is reported to the page,
   * and the next message follows.
   */
  on(name: 'message', handler: (message: T) => void): this;
  on<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  once(name: 'message', handler: (message: T) => void): this;
  once<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
  off(name: 'message', handler: (message: T) => void): this;
  off<Name extends keyof SocketEvents>(name: Name, handler: (event: SocketEvents[Name]) => void): this;
}

export interface SubOptions extends SocketOptions {
  /**
   * Asks the server for its history: the socket resumes after a reconnect, so that it misses
   * nothing and receives nothing twice, and can ask for last values. The socket then has at
   * most one connection. `receiveHighWaterMark` drops nothing: the socket ends the connection
   * and resumes later. On a server without a history everything is as without this option,
   * and the event `resumed` says so. Default: false, or true with `queue` or `position`.
   */
  history?: boolean;
  /**
   * The name of a queue, at most 255 bytes; '' is the user's default one. The server keeps its
   * subscriptions, and its messages until they are acknowledged, also while the page is away.
   * A message is acknowledged when the application asks for the next one, or closes the
   * socket; until then it can be delivered again, to another page or after a reload. The
   * newest connection takes the queue over, and the others are refused with 4409.
   */
  queue?: string;
  /**
   * The position to resume at, from an earlier `position` of a socket. '' resumes at the
   * oldest message that the server keeps; null and undefined, the default, receive what is
   * published from now on. The server resumes a queue by itself and ignores this.
   */
  position?: string | null;
}

export interface SubscribeOptions {
  /**
   * Asks for the newest message of each topic as well, if the server keeps it. A topic that is
   * resumed gets what it has missed instead. Default: false.
   */
  last?: boolean;
}

/** Receives the messages of its subscriptions. */
export class Sub<T = Message> extends ReadableSocket<T> {
  constructor(options?: SubOptions & Decoding<T>);
  /**
   * The position of the last message that `receive` or `for await` has returned, or behind it
   * while topics are quiet: opaque text, to be stored and passed to another socket as the option
   * `position`. It is empty while there is none. It is valid on the same route, on connections of its own and over a `Mux`.
   */
  readonly position: string;
  /** Subscribes to messages whose first frame begins with one of the topics; to everything without a topic. */
  subscribe(...topics: FrameLike[]): void;
  /** @throws SocketError with `EHISTORY` for `last` without the option `history`. */
  subscribe(...topicsAndOptions: [...FrameLike[], SubscribeOptions]): void;
  /** Undoes one call of `subscribe` for each of the topics. With a queue it also ends subscriptions of earlier pages. */
  unsubscribe(...topics: FrameLike[]): void;
}

/**
 * A Sub that can also send, to all publishers that are ready. A message of one frame that
 * begins with 01 or 00 subscribes to or unsubscribes from the topic after it.
 */
export class XSub<T = Message> extends Sub<T> implements Writable {
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

/** Sends and receives messages at any time. */
export class Dealer<T = Message> extends ReadableSocket<T> implements Writable {
  constructor(options?: SocketOptions & Decoding<T>);
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

/**
 * Sends a request, then receives its reply. `send` rejects with `EFSM` while the last request
 * has no reply. `receive` rejects with `EFSM` without a request, and with `ELOST` if the
 * connection was lost before the reply.
 */
export class Req<T = Message> extends ReadableSocket<T> implements Writable {
  /**
   * Sends a request and returns its reply. Calls wait for each other. It rejects with `EAGAIN` after
   * `timeout` (default: `receiveTimeout`), which begins with its turn, with `ELOST` if the connection is lost, and with the
   * reason of `signal`. In the first two cases it sends the request again before, up to `retries`
   * times (default: 0): only for requests that may be carried out twice. A number before the
   * delimiter tells the replies apart, so a late one does no harm: REP repeats it by itself, and a
   * ROUTER answers with all frames up to the delimiter.
   * @throws as `send` for a message that cannot be sent.
   */
  request(message: MessageLike, options?: WaitOptions & { retries?: number }): Promise<T>;
  constructor(options?: SocketOptions & Decoding<T>);
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

/** Sends messages round-robin. */
export class Push extends Socket implements Writable {
  constructor(options?: SocketOptions);
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

/** Receives messages round-robin. */
export class Pull<T = Message> extends ReadableSocket<T> {
  constructor(options?: SocketOptions & Decoding<T>);
}

/** Sends and receives messages over at most one connection at a time. */
export class Pair<T = Message> extends ReadableSocket<T> implements Writable {
  constructor(options?: SocketOptions & Decoding<T>);
  send(message: MessageLike, options?: WaitOptions): Promise<void>;
}

// The names of zeromq.js.
export { Req as Request, Sub as Subscriber, XSub as XSubscriber };

/** An operation that the socket cannot do now. */
export class SocketError extends Error {
  /**
   * - `EAGAIN`: the send queue is full, or no message has come in time
   * - `EBUSY`: another `send` or `receive` is waiting
   * - `ECLOSED`: it is a {@link ClosedError}
   * - `EFSM`: a Req cannot send or receive in this state
   * - `EHISTORY`: last values need a Sub with the option `history`
   * - `EINUSE`: the socket is already connected to this URL; or it is connected, and is a Pair or has a history
   * - `ELOST`: the connection was lost before the reply
   * - `ETIMEDOUT`: a token took too long; it is the `cause` of an event
   */
  readonly code: 'EAGAIN' | 'EBUSY' | 'ECLOSED' | 'EFSM' | 'EHISTORY' | 'EINUSE' | 'ELOST' | 'ETIMEDOUT';
}

/**
 * The application itself has closed the socket or its Mux, or has disconnected it before it was
 * ready. An effect of React that closes its socket can ignore it: in StrictMode the first socket
 * is closed while it connects.
 */
export class ClosedError extends SocketError {
  readonly code: 'ECLOSED';
}

/** The server refuses this client; a retry with the same credentials cannot succeed. */
export class RefusedError extends Error {
  /** The WebSocket close code, of RFC 6455 or of the table that `zwsbridge help errors` shows. */
  readonly code: number;
  /** The reason, as text for people. */
  readonly reason: string;
  /** 300, 400 or 500 of the server's ERROR command, 0 without one. */
  readonly status: number;
}
