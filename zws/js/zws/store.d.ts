// Sockets for user interfaces: values that change, and listeners.
// SPDX-License-Identifier: MPL-2.0

import type { Message, MessageLike, RefusedError, Route, Socket, SocketOptions, Decoding, Sub, SubOptions, WaitOptions } from '../zws.js';
import type { MuxOptions } from './mux.js';

/** The connection was lost or could not be made; the socket tries again. */
export class DisconnectError extends Error {
  readonly code: number;
  readonly reason: string;
  /** Milliseconds until the next attempt. */
  readonly delay: number;
}

/** What every value has. */
export interface ConnectionState {
  /** As the `state` of a socket; `idle` without a target. */
  readonly state: Socket['state'];
  /** Why the socket is not ready: a {@link DisconnectError} while it tries again, a {@link RefusedError} after a refusal. */
  readonly error: Error | undefined;
}

/**
 * A value and its listeners. `subscribe` calls the listener after each change, and returns a
 * function that ends this. With the first listener the socket connects, after the last one has
 * left it is closed, and the value is what it was at first. Nothing is connected before, for
 * example while a server renders a page.
 */
export interface Store<Value> {
  get(): Value;
  /** @throws TypeError or RangeError for the first listener, as the socket for options and target. */
  subscribe(listener: () => void): () => void;
  /** Connects again at once; nothing happens after a refusal. */
  reconnect(): void;
}

/** A route over a {@link connection}. It is the same object for the same path. */
export interface SharedRoute {
  readonly _hold: () => { route: Route; release: () => void };
}

/** What sockets connect to; nothing with null and undefined. */
export type Target = string | URL | Route | SharedRoute | null | undefined;

export interface ConnectionStore extends Store<ConnectionState> {
  /** Returns the target of a socket that shares the connection, for a path such as `/devices`; null without a URL. */
  route(path: string): SharedRoute | null;
}

/**
 * Returns the store of a {@link Mux}, one WebSocket and one login for many sockets. It is open as
 * long as the store has listeners, or the store of a socket on one of its routes has; never while
 * `url` is null or undefined.
 */
export function connection(url: string | URL | null | undefined, options?: MuxOptions): ConnectionStore;

/** Topics of a subscription: a frame of text or bytes, or several. '' is every message. */
export type Topics = string | Uint8Array | readonly (string | Uint8Array)[];

export interface SubscriptionOptions<Data = Message | undefined, Value = Message> extends SubOptions, Decoding<Value> {
  /** The first `data`, or a function that returns it. Default: undefined. */
  initial?: Data | (() => Data);
  /** Returns the next `data`, for each message. Default: the message. */
  reduce?: (data: Data, message: Value) => Data;
  /** Is called for each message, before `reduce`. `sub.position` is the position to store. */
  onMessage?: (message: Value, sub: Sub<Value>) => void;
}

export interface Subscription<Data> extends ConnectionState {
  readonly data: Data;
  /** How many messages were dropped. */
  readonly lost: number;
  /** With a history: how the subscription continues after the last interruption. */
  readonly resumed: { recovered: boolean; gap: boolean } | undefined;
}

/** Returns the store of what a Sub receives. Listeners are called at most once in 16 ms for messages, and at once for changes of the state. */
export function subscription<Value = Message>(target: Target, topics: Topics, options?: SubscriptionOptions<Value | undefined, Value> & { initial?: undefined; reduce?: undefined }): Store<Subscription<Value | undefined>>;
export function subscription<Data, Value = Message>(target: Target, topics: Topics, options: SubscriptionOptions<Data, Value>): Store<Subscription<Data>>;

export interface Requests<Reply> extends ConnectionState {
  /** The last reply. */
  readonly data: Reply | undefined;
  /** How many requests have no reply yet. */
  readonly pending: number;
  /** As of every value; while the socket is ready, why the last request has failed. */
  readonly error: Error | undefined;
}

export interface RequestStore<Reply> extends Store<Requests<Reply>> {
  /**
   * Sends a request and returns its reply, as `request` of a Req. Without listeners the socket is
   * open until then. A request whose store loses its last listener rejects with a ClosedError.
   */
  request(message: MessageLike, options?: WaitOptions & { retries?: number }): Promise<Reply>;
}

/** Returns the store of a Req. */
export function requests<Reply = Message>(target: Target, options?: SocketOptions & Decoding<Reply>): RequestStore<Reply>;
