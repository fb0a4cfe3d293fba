// ZeroMQ sockets of @zwsbridge/zws as React hooks.
// SPDX-License-Identifier: MPL-2.0

import type { Decoding, Message, SocketOptions } from '@zwsbridge/zws';
import type { MuxOptions } from '@zwsbridge/zws/mux';
import type { ConnectionState, RequestStore, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics } from '@zwsbridge/zws/store';

// A hook connects when its component is mounted and closes the socket when it is unmounted. It
// connects anew if `target`, `topics`, `login` or `queue` change: keep `login` in a state, because
// every call of `plain` or `bearer` returns a new one. The callbacks `decode`, `reduce` and
// `onMessage` are those of the latest rendering; other options are read when it connects.

export type { ConnectionState, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics };

export interface Connection extends ConnectionState {
  /** Returns what `useSubscription` and `useRequest` connect to, for a path such as `/devices`: the same object for the same path, and null without a URL. */
  route(path: string): SharedRoute | null;
  /** Connects again at once. */
  reconnect(): void;
}

/** One WebSocket and one login for many hooks, as the `Mux` of @zwsbridge/zws; none while `url` is null or undefined. */
export function useConnection(url: string | URL | null | undefined, options?: MuxOptions): Connection;

/**
 * The messages of a subscription. `data` is the latest message, or what `reduce` makes of them.
 * A component renders at most once in 16 ms for messages. No socket is open while `target` is
 * null or undefined.
 */
export function useSubscription<Value = Message>(
  target: Target, topics: Topics, options?: SubscriptionOptions<Value | undefined, Value> & { initial?: undefined; reduce?: undefined },
): Subscription<Value | undefined> & { reconnect(): void };
export function useSubscription<Data, Value = Message>(
  target: Target, topics: Topics, options: SubscriptionOptions<Data, Value>,
): Subscription<Data> & { reconnect(): void };

/** Requests and their replies. `request` is the same function until the socket is another one. */
export function useRequest<Reply = Message>(
  target: Target, options?: SocketOptions & Decoding<Reply>,
): Requests<Reply> & Pick<RequestStore<Reply>, 'request' | 'reconnect'>;
