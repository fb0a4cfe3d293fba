// ZeroMQ sockets of @zwsbridge/zws as Svelte stores.
// SPDX-License-Identifier: MPL-2.0

import type { Decoding, Message, SocketOptions } from '@zwsbridge/zws';
import type { MuxOptions } from '@zwsbridge/zws/mux';
import type { ConnectionState, ConnectionStore, RequestStore, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics } from '@zwsbridge/zws/store';
import type { Readable } from 'svelte/store';

// A store connects when it is used first, as `$store` in a component, and closes the socket when
// no component uses it any more. In Svelte 5 `fromStore` of svelte/store makes an object with
// `current` of it, and `$derived(createSubscription(…))` a store whose arguments can change.

export type { ConnectionState, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics };

/** One WebSocket and one login for many stores, as the `Mux` of @zwsbridge/zws. `route` returns what they connect to. None is open if `url` is null or undefined. */
export function createConnection(url: string | URL | null | undefined, options?: MuxOptions): Readable<ConnectionState> & Pick<ConnectionStore, 'route' | 'reconnect'>;

/**
 * The messages of a subscription. `data` is the latest message, or what `reduce` makes of them. The
 * store changes at most once in 16 ms for messages. No socket is open if `target` is null or
 * undefined.
 */
export function createSubscription<Value = Message>(
  target: Target, topics: Topics, options?: SubscriptionOptions<Value | undefined, Value> & { initial?: undefined; reduce?: undefined },
): Readable<Subscription<Value | undefined>> & { reconnect(): void };
export function createSubscription<Data, Value = Message>(
  target: Target, topics: Topics, options: SubscriptionOptions<Data, Value>,
): Readable<Subscription<Data>> & { reconnect(): void };

/** Requests and their replies. A request that is sent while nothing uses the store has a socket of its own. */
export function createRequest<Reply = Message>(
  target: Target, options?: SocketOptions & Decoding<Reply>,
): Readable<Requests<Reply>> & Pick<RequestStore<Reply>, 'request' | 'reconnect'>;
