// @zwsbridge/vue in components. The test plays the server.

import './adapters/dom.js';

import assert from 'node:assert/strict';
import test from 'node:test';
import { createSSRApp, effectScope, h, nextTick, ref, watch } from 'vue';
import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils';
import { renderToString } from 'vue/server-renderer';

import { useConnection, useRequest, useSubscription } from '@zwsbridge/vue';
import { ClosedError, plain } from '../zws.js';
import { network } from './fake.js';
import { network as muxNetwork } from './fakemux.js';

enableAutoUnmount(test.afterEach);

const TARGET = 'wss://host/devices';

async function serve(action) {
  action();
  await flushPromises();
}

/** Mounts a component that uses a composable, and returns it with what the composable has returned. */
function use(composable) {
  let result;
  const wrapper = mount({ setup() { result = composable(); return () => h('p', result.state.value); } });
  return { ...result, wrapper };
}

test('useSubscription', async () => {
  const { WebSocket, opened } = network();
  const { state, data, wrapper } = use(() => useSubscription(TARGET, ['a'], { WebSocket, decode: (message) => message.text() }));
  await flushPromises();
  assert.deepEqual([opened.length, wrapper.text(), data.value], [1, 'connecting', undefined]);
  await serve(() => opened[0].login('PUB'));
  assert.deepEqual([wrapper.text(), state.value], ['ready', 'ready']);
  opened[0].message('a', 'one');
  opened[0].message('a', 'two');
  await new Promise((resolve) => { watch(data, (value) => value === 'two' && resolve()); });
  wrapper.unmount();
  assert.equal(opened[0].closedWith, 1000);
});

test('useRequest', async () => {
  const { WebSocket, opened } = network();
  const { request, data, pending, wrapper } = use(() => useRequest(TARGET, { WebSocket, decode: (message) => message.json() }));
  await flushPromises();
  await serve(() => opened[0].login('ROUTER'));
  let reply, late;
  await serve(() => { reply = request('1 + 1'); });
  assert.equal(pending.value, 1);
  await serve(() => opened[0].message(opened[0].messages[0][0], '', '2'));
  assert.deepEqual([await reply, data.value, pending.value], [2, 2, 0]);
  await serve(() => { late = assert.rejects(request('2 + 2'), ClosedError); });
  wrapper.unmount();
  await late;
  assert.equal(opened.length, 1);
});

test('refs and getters: another target, topic or login is another socket, and null is none', async () => {
  const { WebSocket, opened } = network(), target = ref(null), topic = ref('a'), login = ref(plain('ann', 'secret'));
  const { state } = use(() => useSubscription(target, () => [topic.value], () => ({ WebSocket, login: login.value })));
  await flushPromises();
  assert.deepEqual([opened.length, state.value], [0, 'idle']);
  const changes = [() => { target.value = TARGET; }, () => { topic.value = 'b'; }, () => { login.value = plain('ann', 'secret'); }];
  for (const [i, change] of changes.entries()) {
    await serve(change);
    assert.deepEqual([opened.length, state.value], [i + 1, 'connecting']);
    if (i) assert.equal(opened[i - 1].closedWith, 1000);
  }
  await serve(() => { target.value = undefined; });
  assert.deepEqual([opened.at(-1).closedWith, state.value], [1000, 'idle']);
});

test('errors', async () => {
  const { WebSocket, opened } = network();
  const { state, error, reconnect } = use(() => useSubscription(TARGET, 'a', { WebSocket }));
  await flushPromises();
  await serve(() => opened[0].login('PUB').lose(4300, 'later'));
  assert.deepEqual([state.value, error.value.name, error.value.code], ['reconnecting', 'DisconnectError', 4300]);
  await serve(reconnect);
  await serve(() => opened[1].open().lose(4400, 'login refused'));
  assert.deepEqual([state.value, error.value.message], ['refused', '4400 login refused']);
});

test('useConnection: one WebSocket for many components, and another one for another login', async () => {
  const { WebSocket, opened } = muxNetwork(), login = ref(plain('ann', 'secret')), shown = ref(true);
  const Readings = {
    props: ['connection', 'topic'],
    setup: ({ connection, topic }) => {
      const { state } = useSubscription(connection.route('/devices'), topic, { WebSocket });
      return () => h('p', `${topic} ${state.value}`);
    },
  };
  const wrapper = mount({
    setup() {
      const connection = useConnection(TARGET, () => ({ WebSocket, login: login.value }));
      return () => [h('h1', connection.state.value), ...['a', 'b'].map((topic) => shown.value && h(Readings, { connection, topic }))];
    },
  });
  await flushPromises();
  assert.equal(opened.length, 1);
  await serve(() => opened[0].ready());
  await serve(() => opened[0].opened(1).opened(2));
  assert.equal(wrapper.text(), 'readya readyb ready');
  await serve(() => { login.value = plain('bob', 'secret'); });
  assert.deepEqual([opened.length, opened[0].closedWith, wrapper.text()], [2, 1000, 'connectinga connectingb connecting']);
  await serve(() => opened[1].ready());
  await serve(() => opened[1].opened(1).opened(2));
  assert.equal(wrapper.text(), 'readya readyb ready');
  await serve(() => { shown.value = false; });
  assert.equal(opened[1].closedWith, undefined);
  wrapper.unmount();
  assert.equal(opened[1].closedWith, 1000);
});

test('outside of components it ends with its scope', async () => {
  const { WebSocket, opened } = network(), scope = effectScope();
  const { state } = scope.run(() => useSubscription(TARGET, 'a', { WebSocket }));
  await flushPromises();
  await serve(() => opened[0].login('PUB'));
  assert.equal(state.value, 'ready');
  scope.stop();
  await nextTick();
  assert.equal(opened[0].closedWith, 1000);
});

test('a server connects to nothing', async () => {
  const { WebSocket, opened } = network();
  const app = createSSRApp({ setup: () => { const { data } = useSubscription(TARGET, 'a', { WebSocket, initial: 'nothing yet' }); return () => h('p', data.value); } });
  assert.equal(await renderToString(app), '<p>nothing yet</p>');
  assert.equal(opened.length, 0);
});
