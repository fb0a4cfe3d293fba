// @zwsbridge/svelte in components of Svelte 5. The test plays the server.

import './adapters/dom.js';

import assert from 'node:assert/strict';
import { register } from 'node:module';
import test from 'node:test';
import { get } from 'svelte/store';

import { createConnection, createRequest, createSubscription } from '@zwsbridge/svelte';
import { ClosedError, RefusedError, plain } from '../zws.js';
import { network, settle } from './fake.js';
import { network as muxNetwork } from './fakemux.js';

register('./adapters/svelte.js', import.meta.url);
const { act, cleanup, render, screen, waitFor } = await import('@testing-library/svelte');
const { default: Readings } = await import('./adapters/Readings.svelte');
const { default: Connected } = await import('./adapters/Connected.svelte');

test.afterEach(cleanup);

const TARGET = 'wss://host/devices';
const serve = (action) => act(async () => {
  action();
  await settle();
});
const text = () => document.body.textContent.trim();

test('createSubscription in a component', async () => {
  const { WebSocket, opened } = network();
  const { unmount } = render(Readings, { url: TARGET, topic: 'a', options: { WebSocket } });
  await serve(() => {});
  assert.deepEqual([opened.length, text()], [1, 'a connecting - idle']);
  await serve(() => opened[0].login('PUB'));
  opened[0].message('a', 'one');
  opened[0].message('a', 'two');
  await waitFor(() => assert.equal(text(), 'a ready two idle'));
  unmount();
  assert.equal(opened[0].closedWith, 1000);
});

test('$derived: another topic is another socket, and null is none', async () => {
  const { WebSocket, opened } = network(), options = { WebSocket };
  const { rerender } = render(Readings, { url: null, topic: 'a', options });
  await serve(() => {});
  assert.deepEqual([opened.length, text()], [0, 'a idle - idle']);
  for (const [i, topic] of ['a', 'b'].entries()) {
    await rerender({ url: TARGET, topic, options });
    await serve(() => {});
    assert.deepEqual([opened.length, text()], [i + 1, `${topic} connecting - idle`]);
  }
  assert.equal(opened[0].closedWith, 1000);
});

test('createConnection: one WebSocket for many components', async () => {
  const { WebSocket, opened } = muxNetwork(), connection = createConnection(TARGET, { WebSocket, login: plain('ann', 'secret') });
  const { rerender, unmount } = render(Connected, { connection, shown: true, options: { WebSocket } });
  await serve(() => {});
  assert.equal(opened.length, 1);
  await serve(() => opened[0].ready());
  await serve(() => opened[0].opened(1).opened(2));
  assert.equal(screen.getByRole('heading').textContent, 'ready');
  for (const topic of ['a', 'b']) screen.getByText(`${topic} ready - idle`);
  await rerender({ shown: false });
  assert.equal(opened[0].closedWith, undefined);
  unmount();
  assert.deepEqual([opened.length, opened[0].closedWith], [1, 1000]);
});

test('stores outside of components', async () => {
  const { WebSocket, opened } = network(), store = createSubscription(TARGET, 'a', { WebSocket }), values = [];
  assert.equal(get(store).state, 'connecting');
  await settle();
  assert.equal(opened.length, 0, 'nothing uses it');
  const leave = store.subscribe(({ state, error }) => values.push([state, error?.message]));
  await settle();
  opened[0].login('PUB').lose(4300, 'later');
  store.reconnect();
  await settle();
  opened[1].open().lose(4400, 'login refused');
  assert.deepEqual(values, [['connecting', undefined], ['ready', undefined], ['reconnecting', '4300 later'], ['refused', '4400 login refused']]);
  leave();
});

test('createRequest', async () => {
  const { WebSocket, opened } = network(), store = createRequest(TARGET, { WebSocket, decode: (message) => message.json() }), values = [];
  const leave = store.subscribe(({ data, pending }) => values.push([data, pending]));
  await settle();
  opened[0].login('ROUTER');
  const reply = store.request('1 + 1');
  await settle();
  opened[0].message(opened[0].messages[0][0], '', '2');
  assert.equal(await reply, 2);
  assert.deepEqual(values.slice(-2), [[undefined, 1], [2, 0]]);
  const late = assert.rejects(store.request('2 + 2'), ClosedError);
  await settle();
  leave();
  await late;
  const refused = assert.rejects(store.request('3 + 3'), RefusedError, 'without subscribers it has a socket of its own');
  await settle();
  opened[1].open().lose(4403, 'not permitted');
  await refused;
});

test('a server renders the first value, and connects to nothing', (t) => {
  const store = createSubscription(TARGET, 'a', { initial: 'nothing yet', debug: 'wrong' }); // with an option that no socket takes
  const { document } = globalThis;
  t.after(() => { globalThis.document = document; });
  delete globalThis.document;
  assert.equal(get(store).data, 'nothing yet');
});
