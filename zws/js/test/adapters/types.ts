// Checks the types of the adapters with tsc: what must compile, and what must not. It is never run.

import { plain } from '@zwsbridge/zws';
import { connection, requests, subscription, type Store, type Subscription } from '@zwsbridge/zws/store';
import * as react from '@zwsbridge/react';
import * as svelte from '@zwsbridge/svelte';
import * as vue from '@zwsbridge/vue';
import { derived } from 'svelte/store';
import { ref } from 'vue';

const login = plain('ann', 'secret');
const decode = (message: { json(): any }) => message.json() as { celsius: number };
const reduce = (sum: number, reading: { celsius: number }) => sum + reading.celsius;

const store = subscription('/devices', 'house/', { login });
store.subscribe(() => store.get().data?.text())();
const counted: Store<Subscription<number>> = subscription('/devices', ['a', new Uint8Array(1)], { initial: 0, decode, reduce });
`${counted.get().data.toFixed()} ${counted.get().lost.toFixed()} ${counted.get().resumed?.gap}`;
const shared = connection('/devices', { login, window: 1000 });
(await requests(shared.route('/control'), { decode }).request(['a'], { timeout: 1000, retries: 1 })).celsius.toFixed();
subscription(null, '', { history: true, queue: 'panel', onMessage: (message, sub) => [message.time, sub.position] });

function Component(shown: boolean) {
  const { state, error, route, reconnect } = react.useConnection('/devices', { login });
  const { data, lost } = react.useSubscription(shown ? route('/devices') : null, 'house/', { decode });
  const sum = react.useSubscription('/devices', 'house/', { initial: () => 0, decode, reduce });
  const { request, pending, data: reply } = react.useRequest(route('/control'), { decode });
  reconnect();
  // @ts-expect-error there may be no message yet
  data.celsius;
  // @ts-expect-error not an option
  react.useSubscription('/devices', 'a', { hwm: 1 });
  return `${state} ${error?.message} ${data?.celsius} ${lost} ${sum.data.toFixed()} ${pending.toFixed()} ${reply?.celsius} ${request('a').then(({ celsius }) => celsius)}`;
}

function setup() {
  const connected = vue.useConnection(ref('/devices'), () => ({ login }));
  const { data, state } = vue.useSubscription(connected.route('/devices'), () => ['house/'], { decode });
  const sum = vue.useSubscription('/devices', 'house/', { initial: 0, decode, reduce });
  const { request, pending } = vue.useRequest(connected.route('/control'), { decode });
  // @ts-expect-error the socket changes it
  state.value = 'ready';
  // @ts-expect-error there may be no message yet
  data.value.celsius;
  return `${connected.error.value?.message} ${data.value?.celsius} ${sum.data.value.toFixed()} ${pending.value} ${request('a').then(({ celsius }) => celsius)}`;
}

const connected = svelte.createConnection('/devices', { login });
const readings = svelte.createSubscription(connected.route('/devices'), 'house/', { decode });
const sum = svelte.createSubscription('/devices', 'house/', { initial: 0, decode, reduce });
derived([connected, readings, sum], ([{ state }, { data }, { data: total }]) => `${state} ${data?.celsius} ${total.toFixed()}`);
(await svelte.createRequest(connected.route('/control'), { decode }).request('a')).celsius.toFixed();
// @ts-expect-error a store cannot be written
readings.set(1);

`${Component} ${setup}`;
