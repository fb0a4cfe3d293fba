// ZeroMQ sockets of @zwsbridge/zws as Vue composables. index.d.ts documents them.
// SPDX-License-Identifier: MPL-2.0

import { computed, getCurrentInstance, onMounted, onScopeDispose, shallowRef, toValue, watch } from 'vue';
import { connection, requests, subscription } from '@zwsbridge/zws/store';

/**
 * Listens to the store that make() returns, from when the component is mounted until its scope
 * ends, and to another one when dependencies() change. Returns a ref of the store, and refs of the
 * properties of its value.
 */
function useStore(make, dependencies, names) {
  const store = shallowRef(make()), value = shallowRef(store.value.get());
  let leave, active = false;
  const listen = () => {
    value.value = store.value.get();
    leave = store.value.subscribe(() => { value.value = store.value.get(); });
    value.value = store.value.get();
  };
  const begin = () => {
    active = true;
    listen();
  };
  watch(dependencies, () => {
    leave?.();
    leave = undefined;
    store.value = make();
    if (active) listen();
    else value.value = store.value.get();
  });
  onScopeDispose(() => {
    active = false;
    leave?.();
  });
  if (getCurrentInstance()) onMounted(begin); // not on a server
  else begin();
  return { store, ...Object.fromEntries(names.map((name) => [name, computed(() => value.value[name])])) };
}

export function useConnection(url, options) {
  const { store, ...refs } = useStore(() => connection(toValue(url), toValue(options)), [() => toValue(url), () => toValue(options)?.login], ['state', 'error']);
  return { ...refs, route: (path) => () => store.value.route(path), reconnect: () => store.value.reconnect() };
}

export function useSubscription(target, topics, options) {
  const { store, ...refs } = useStore(
    () => subscription(toValue(target), toValue(topics), toValue(options)),
    [() => toValue(target), () => JSON.stringify(toValue(topics)), () => toValue(options)?.login, () => toValue(options)?.queue],
    ['data', 'state', 'error', 'lost', 'resumed'],
  );
  return { ...refs, reconnect: () => store.value.reconnect() };
}

export function useRequest(target, options) {
  const { store, ...refs } = useStore(() => requests(toValue(target), toValue(options)), [() => toValue(target), () => toValue(options)?.login], ['data', 'state', 'error', 'pending']);
  return { ...refs, request: (message, wait) => store.value.request(message, wait), reconnect: () => store.value.reconnect() };
}
