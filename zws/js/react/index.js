// ZeroMQ sockets of @zwsbridge/zws as React hooks. index.d.ts documents them.
// SPDX-License-Identifier: MPL-2.0

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { connection, requests, subscription } from '@zwsbridge/zws/store';

const CALLBACKS = ['decode', 'reduce', 'onMessage'];

/** Returns options whose callbacks are those of the latest rendering, so that a component can pass new functions each time. */
function useLatest(options = {}) {
  const latest = useRef(options);
  useEffect(() => { latest.current = options; });
  const given = CALLBACKS.filter((name) => options[name]);
  return { ...options, ...Object.fromEntries(given.map((name) => [name, (...args) => (latest.current[name] ?? options[name])(...args)])) };
}

const useStore = ({ subscribe, get }) => useSyncExternalStore(subscribe, get, get);

const text = (target) => (target instanceof URL ? target.href : target);

export function useConnection(url, options) {
  const store = useMemo(() => connection(url, options), [text(url), options?.login]);
  const value = useStore(store);
  return useMemo(() => ({ ...value, route: store.route, reconnect: store.reconnect }), [store, value]);
}

export function useSubscription(target, topics, options) {
  const current = useLatest(options);
  const store = useMemo(() => subscription(target, topics, current), [text(target), JSON.stringify(topics), options?.login, options?.queue]);
  const value = useStore(store);
  return useMemo(() => ({ ...value, reconnect: store.reconnect }), [store, value]);
}

export function useRequest(target, options) {
  const current = useLatest(options);
  const store = useMemo(() => requests(target, current), [text(target), options?.login]);
  const value = useStore(store);
  return useMemo(() => ({ ...value, request: store.request, reconnect: store.reconnect }), [store, value]);
}
