// Sockets as stores: when they connect, and what listeners get. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { ClosedError, RefusedError, plain } from '../zws.js';
import { DisconnectError, connection, requests, subscription } from '../zws/store.js';
import { URL, network, settle } from './fake.js';
import { network as muxNetwork } from './fakemux.js';

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

/** Listens to a store. values is what it has been. */
async function listen(store) {
  const values = [], leave = store.subscribe(() => values.push(store.get()));
  await settle();
  return { values, leave };
}

const idle = { error: undefined, state: 'idle' }, connecting = { error: undefined, state: 'connecting' };

test('a subscription is connected as long as there are listeners', async () => {
  const { WebSocket, opened } = network();
  const store = subscription(URL, ['a', 'b'], { WebSocket });
  assert.deepEqual(store.get(), { ...connecting, data: undefined, lost: 0, resumed: undefined });
  await settle();
  assert.equal(opened.length, 0, 'nothing listens');
  const first = await listen(store), second = await listen(store);
  assert.equal(opened.length, 1);
  opened[0].login('PUB');
  assert.deepEqual(opened[0].messages, [['\x01a'], ['\x01b']]);
  assert.deepEqual([first.values.length, store.get().state], [1, 'ready']);
  first.leave();
  first.leave();
  assert.equal(opened[0].closedWith, undefined);
  second.leave();
  assert.equal(opened[0].closedWith, 1000);
  assert.deepEqual(store.get(), { ...connecting, data: undefined, lost: 0, resumed: undefined });
  await listen(store);
  assert.equal(opened.length, 2);
});

test('leaving and coming at once, as StrictMode does, leaves one WebSocket', async () => {
  const { WebSocket, opened } = network();
  const store = subscription(URL, 'a', { WebSocket });
  store.subscribe(() => {})();
  const { leave } = await listen(store);
  assert.equal(opened.length, 1);
  leave();
});

test('messages come together, and states at once', async () => {
  const { WebSocket, opened } = network();
  const store = subscription(URL, 'a', {
    WebSocket, decode: (message) => [message.text(0), Number(message.text())],
    initial: () => new Map(), reduce: (data, [topic, value]) => new Map(data).set(topic, value),
  });
  const { values, leave } = await listen(store);
  const before = store.get();
  assert.equal(store.get(), before, 'the same value until it changes');
  opened[0].login('PUB').message('a1', '1');
  opened[0].message('a2', '2');
  opened[0].message('a1', '3');
  await settle();
  assert.deepEqual(values.map(({ data, state }) => [data.size, state]), [[0, 'ready']]);
  await advance(16);
  assert.deepEqual(values.map(({ data }) => [...data]), [[], [['a1', 3], ['a2', 2]]]);
  opened[0].message('a3', '4');
  await settle();
  opened[0].lose(4300, 'later');
  assert.deepEqual([values.length, values[2].state, values[2].data.size], [3, 'reconnecting', 3]);
  leave();
  await advance(60_000);
  assert.equal(values.length, 3);
  assert.equal(store.get().data.size, 0, 'initial is called again');
});

test('onMessage, and a listener that throws', async () => {
  const { WebSocket, opened } = network(), seen = [], reported = [];
  const store = subscription(URL, '', { WebSocket, onMessage: (message, sub) => seen.push([message.text(), sub.type]) });
  mock.method(globalThis, 'queueMicrotask', (callback) => { try { callback(); } catch (error) { reported.push(error.message); } });
  store.subscribe(() => { throw new Error('a fault of the page'); });
  const { values, leave } = await listen(store);
  opened[0].login('PUB').message('a', '1');
  await settle();
  await advance(16);
  mock.restoreAll();
  assert.deepEqual([seen, values.map(({ data }) => data?.text())], [[['1', 'SUB']], [undefined, '1']]);
  assert.ok(reported.includes('a fault of the page'));
  leave();
});

test('nothing changes after the last listener has left in onMessage', async () => {
  const { WebSocket, opened } = network(), got = [];
  const store = subscription(URL, 'a', { WebSocket, onMessage: (message) => { got.push(message.text()); leave(); } });
  const { leave } = await listen(store);
  opened[0].login('PUB').message('a', '1');
  opened[0].message('a', '2');
  await settle();
  mock.timers.tick(100);
  assert.deepEqual(got, ['1']);
  assert.equal(store.get().data, undefined);
});

test('errors: a lost connection, a refusal, lost messages', async () => {
  const { WebSocket, opened } = network(), cause = undefined;
  const store = subscription(URL, 'a', { WebSocket, receiveHighWaterMark: 1 });
  const { values } = await listen(store);
  opened[0].login('PUB').command('LOST', [0, 0, 0, 0, 0, 0, 0, 2]);
  opened[0].lose(4300, 'try later; retry in 1s');
  const { error, state, lost } = store.get();
  assert.ok(error instanceof DisconnectError && error instanceof Error);
  assert.deepEqual([state, lost, error.message, error.code, error.reason, error.delay >= 1000, error.cause], ['reconnecting', 2, '4300 try later; retry in 1s', 4300, 'try later; retry in 1s', true, cause]);
  store.reconnect();
  await settle();
  opened[1].login('PUB');
  assert.deepEqual([store.get().state, store.get().error], ['ready', undefined]);
  opened[1].lose(4403, 'not permitted');
  assert.ok(store.get().error instanceof RefusedError);
  assert.deepEqual([values.at(-1).state, store.get().error.message], ['refused', '4403 not permitted']);
  store.reconnect();
  await advance(60_000);
  assert.equal(opened.length, 2);
});

test('without a target', async () => {
  const store = subscription(null, 'a'), asking = requests(undefined), none = connection(null);
  for (const s of [store, asking]) {
    const { values, leave } = await listen(s);
    s.reconnect();
    assert.deepEqual([values, s.get().state], [[], 'idle']);
    leave();
  }
  await assert.rejects(asking.request('a'), ClosedError);
  for (const s of [none, subscription(none.route('/devices'), 'a')]) {
    const { values, leave } = await listen(s);
    assert.deepEqual([values, s.get().state], [[], 'idle']);
    leave();
  }
  assert.deepEqual(none.get(), idle);
});

test('wrong options and targets throw for the first listener', () => {
  const { WebSocket } = network();
  for (const store of [subscription(URL, 'a', { WebSocket, debug: 1 }), subscription({}, 'a', { WebSocket }), subscription(URL, 7, { WebSocket }), requests('ftp://host/', { WebSocket }), connection(URL, { WebSocket, debug: 1 })]) {
    for (let i = 0; i < 2; i++) assert.throws(() => store.subscribe(() => {}), TypeError);
  }
  const { WebSocket: M, opened } = muxNetwork(), shared = connection(URL, { WebSocket: M });
  assert.throws(() => subscription(shared.route('no path'), 'a', { WebSocket }).subscribe(() => {}), { message: /malformed route/ });
  assert.deepEqual(opened, [], 'the connection was given back');
});

test('requests', async () => {
  const { WebSocket, opened } = network();
  const store = requests(URL, { WebSocket, decode: (message) => message.json() });
  const { values, leave } = await listen(store);
  opened[0].login('ROUTER');
  const reply = store.request('1 + 1'), second = store.request('2', { timeout: 100 });
  await settle();
  assert.equal(store.get().pending, 2);
  const [[id, , question]] = opened[0].messages;
  assert.equal(question, '1 + 1');
  opened[0].message(id, '', '2');
  assert.equal(await reply, 2);
  assert.deepEqual([store.get().data, store.get().pending, store.get().error], [2, 1, undefined]);
  const failed = assert.rejects(second, { code: 'EAGAIN' });
  await settle();
  await advance(100);
  await failed;
  assert.deepEqual([store.get().data, store.get().pending, store.get().error.code], [2, 0, 'EAGAIN']);
  const controller = new AbortController(), third = store.request('3', { signal: controller.signal });
  await settle();
  assert.equal(store.get().error, undefined, 'a new request clears it');
  controller.abort();
  await assert.rejects(third, { name: 'AbortError' });
  assert.deepEqual([store.get().pending, store.get().error], [0, undefined], 'the page wanted it');
  const lost = store.request('4');
  await settle();
  const { length } = values;
  leave();
  await assert.rejects(lost, ClosedError);
  assert.deepEqual([opened[0].closedWith, values.length], [1000, length]);
});

test('a request without listeners', async () => {
  const { WebSocket, opened } = network(), store = requests(URL, { WebSocket });
  const reply = store.request('a');
  await settle();
  opened[0].login('ROUTER');
  await settle();
  opened[0].message(opened[0].messages[0][0], '', 'b');
  assert.equal((await reply).text(), 'b');
  assert.deepEqual([opened[0].closedWith, store.get().state], [1000, 'connecting']);
});

test('a request that is refused', async () => {
  const { WebSocket, opened } = network(), store = requests(URL, { WebSocket });
  await listen(store);
  const refused = assert.rejects(store.request('a'), RefusedError);
  await settle();
  opened[0].open().lose(4400, 'login refused');
  await refused;
  assert.deepEqual([store.get().state, store.get().pending, store.get().error.code], ['refused', 0, 4400]);
});

test('a connection for many sockets', async () => {
  const { WebSocket, opened } = muxNetwork();
  const shared = connection(URL, { WebSocket, login: plain('ann', 'secret') });
  assert.equal(shared.route('/a'), shared.route('/a'), 'the same object for the same path');
  const sub = await listen(subscription(shared.route('/devices'), 'a', { WebSocket }));
  assert.deepEqual([opened.length, shared.get().state], [1, 'connecting']);
  const asking = requests(shared.route('/control'), { WebSocket }), { leave } = await listen(asking);
  opened[0].ready();
  assert.deepEqual([opened.length, shared.get().state], [1, 'ready'], 'it is up to date without listeners');
  opened[0].opened(1);
  const whole = await listen(shared);
  leave();
  sub.leave();
  assert.equal(opened[0].closedWith, undefined, 'the connection itself is used');
  opened[0].lose(4300, 'later');
  assert.deepEqual([shared.get().state, shared.get().error.message, whole.values.length], ['reconnecting', '4300 later', 1]);
  shared.reconnect();
  await settle();
  assert.equal(opened.length, 2);
  whole.leave();
  assert.deepEqual([opened[1].closedWith, shared.get()], [1000, connecting]);
  shared.reconnect();
  const last = await listen(subscription(shared.route('/devices'), 'a', { WebSocket }));
  opened[2].ready();
  assert.equal(shared.get().state, 'ready');
  last.leave();
  assert.deepEqual([opened[2].closedWith, shared.get()], [1000, connecting], 'the last socket has left');
  await listen(shared);
  assert.equal(opened.length, 4);
});

test('a refused login reaches all sockets of a connection', async () => {
  const { WebSocket, opened } = muxNetwork();
  const shared = connection(URL, { WebSocket, login: plain('ann', 'guessed') });
  const store = subscription(shared.route('/devices'), 'a', { WebSocket });
  const { leave } = await listen(store), whole = await listen(shared);
  opened[0].open().lose(4400, 'login refused');
  for (const { get } of [store, shared]) assert.deepEqual([get().state, get().error.message], ['refused', '4400 login refused']);
  leave();
  whole.leave();
  await listen(shared);
  assert.deepEqual([opened.length, shared.get()], [2, connecting], 'another Mux');
});
