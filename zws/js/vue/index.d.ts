// ZeroMQ sockets of @zwsbridge/zws as Vue composables.
// SPDX-License-Identifier: MPL-2.0

import type { Decoding, Message, SocketOptions } from '@zwsbridge/zws';
import type { MuxOptions } from '@zwsbridge/zws/mux';
import type { ConnectionState, RequestStore, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics } from '@zwsbridge/zws/store';
import type { MaybeRefOrGetter, Ref } from 'vue';

// A composable connects when its component is mounted, or at once outside of a component, and
// closes the socket when its scope ends. Arguments can be refs or getters: it connects anew when
// `target`, `topics`, `login` or `queue` change; other options are read when it connects.

export type { ConnectionState, Requests, SharedRoute, Subscription, SubscriptionOptions, Target, Topics };

type Refs<Value> = { readonly [Name in keyof Value]: Readonly<Ref<Value[Name]>> };

export interface Connection extends Refs<ConnectionState> {
  /** Returns what `useSubscription` and `useRequest` connect to, for a path such as `/devices`. */
  route(path: string): () => SharedRoute | null;
  /** Connects again at once. */
  reconnect(): void;
}

/** One WebSocket and one login for many sockets, as the `Mux` of @zwsbridge/zws; none while `url` is null or undefined. */
export function useConnection(url: MaybeRefOrGetter<string | URL | null | undefined>, options?: MaybeRefOrGetter<MuxOptions | undefined>): Connection;

/**
 * The messages of a subscription. `data` is the latest message, or what `reduce` makes of them. It
 * changes at most once in 16 ms. No socket is open while `target` is null or undefined.
 */
export function useSubscription<Value = Message>(
  target: MaybeRefOrGetter<Target>, topics: MaybeRefOrGetter<Topics>,
  options?: MaybeRefOrGetter<(SubscriptionOptions<Value | undefined, Value> & { initial?: undefined; reduce?: undefined }) | undefined>,
): Refs<Subscription<Value | undefined>> & { reconnect(): void };
export function useSubscription<Data, Value = Message>(
  target: MaybeRefOrGetter<Target>, topics: MaybeRefOrGetter<Topics>, options: MaybeRefOrGetter<SubscriptionOptions<Data, Value>>,
): Refs<Subscription<Data>> & { reconnect(): void };

/** Requests and their replies. */
export function useRequest<Reply = Message>(
  target: MaybeRefOrGetter<Target>, options?: MaybeRefOrGetter<(SocketOptions & Decoding<Reply>) | undefined>,
): Refs<Requests<Reply>> & Pick<RequestStore<Reply>, 'request' | 'reconnect'>;
