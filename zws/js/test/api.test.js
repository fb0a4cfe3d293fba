// What applications use beside the protocols: time limits, signals, iteration, callbacks, requests,
// decoders, states and counters. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { ClosedError, Dealer, Pair, Pull, Push, Req, Sub, XSub } from '../zws.js';
import { Mux } from '../zws/mux.js';
import { network, record, settle } from './fake.js';
import { begin as beginMux, over } from './fakemux.js';

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

/** Returns a socket that is ready on as many servers as there are peers. */
async function connected(Type, peers, options = {}) {
  const { WebSocket, opened } = network();
  const socket = new Type({ WebSocket, ...options }), events = record(socket);
  const ready = peers.map((_, i) => socket.connect(`ws://host/${i}`));
  await settle();
  peers.forEach((peer, i) => opened[i].login(peer));
  await Promise.all(ready);
  return { socket, events, opened, ws: opened[0] };
}

const strings = (message) => [...message].map(String);
const aborted = { name: 'AbortError' };

test('receiveTimeout, and timeout of one call', async () => {
  const { socket, ws } = await connected(Pull, ['PUSH'], { receiveTimeout: 100 });
  const late = assert.rejects(socket.receive(), { code: 'EAGAIN', message: 'no message within 100 ms' });
  await advance(99);
  await advance(1);
  await late;
  const later = assert.rejects(socket.receive({ timeout: 5 }), { code: 'EAGAIN' });
  await advance(5);
  await later;
  await assert.rejects(socket.receive({ timeout: 0 }), { code: 'EAGAIN' });
  ws.message('x');
  assert.deepEqual(strings(await socket.receive({ timeout: 0 })), ['x']);
  const reading = socket.receive();
  ws.message('in time');
  assert.deepEqual(strings(await reading), ['in time']);
  await advance(1000);
  const forever = socket.receive({ timeout: -1 });
  await advance(2 ** 30);
  ws.message('at last');
  assert.deepEqual(strings(await forever), ['at last']);
});

test('signal: receive', async () => {
  const { socket, ws } = await connected(Pull, ['PUSH']);
  const controller = new AbortController(), reading = socket.receive({ signal: controller.signal });
  controller.abort();
  await assert.rejects(reading, aborted);
  ws.message('kept');
  await assert.rejects(socket.receive({ signal: AbortSignal.abort() }), aborted);
  assert.deepEqual(strings(await socket.receive({ signal: new AbortController().signal })), ['kept']);
});

test('signal and timeout: send', async () => {
  const { WebSocket } = network();
  const socket = new Push({ WebSocket, sendHighWaterMark: 1 }), controller = new AbortController();
  await socket.send('1');
  const waiting = socket.send('2', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  const limited = assert.rejects(socket.send('3', { timeout: 10 }), { code: 'EAGAIN' });
  await advance(10);
  await limited;
  await assert.rejects(socket.send('4', { timeout: 0 }), { code: 'EAGAIN' });
  await assert.rejects(new XSub({ WebSocket }).send('5', { signal: AbortSignal.abort() }), aborted);
  assert.equal(socket.stats.queued, 1);
});

test('signal: connect', async () => {
  const { WebSocket, opened } = network();
  const socket = new Sub({ WebSocket }), controller = new AbortController();
  const connecting = socket.connect('ws://host/', { signal: controller.signal });
  await settle();
  controller.abort();
  await assert.rejects(connecting, aborted);
  assert.deepEqual([opened[0].closedWith, socket.state], [1000, 'idle']);
  assert.throws(() => socket.connect('ws://host/', { signal: AbortSignal.abort() }), aborted);
  const again = new AbortController(), ready = socket.connect('ws://host/', { signal: again.signal });
  await settle();
  opened[1].login('PUB');
  await ready;
  again.abort(); // after it was ready
  assert.equal(socket.state, 'ready');
});

test('for await ends with the last connection', async () => {
  const two = await connected(Sub, ['PUB', 'PUB']), got = [];
  const reading = (async () => { for await (const message of two.socket) got.push(strings(message)); })();
  two.ws.message('1');
  await settle();
  two.socket.disconnect('ws://host/0');
  two.opened[1].message('2');
  await settle();
  two.socket.disconnect('ws://host/1');
  await reading;
  assert.deepEqual(got, [['1'], ['2']]);
  await assert.rejects(two.socket.receive(), { code: 'ECLOSED' });
  two.socket.connect('ws://host/1');
  await settle();
  const next = two.socket.receive();
  two.opened[2].login('PUB').message('3');
  assert.deepEqual(strings(await next), ['3']);
});

test('for await ends when the Mux is closed', async () => {
  const m = await beginMux(), { socket } = await over(m, Sub);
  m.ws.ready().opened(1);
  const reading = (async () => { for await (const _ of socket); })();
  await settle();
  m.mux.close();
  await reading;
  assert.equal(socket.closed, false);
});

test('return ends an iteration that waits, and the next one begins', async () => {
  const { socket, ws } = await connected(Sub, ['PUB']);
  const messages = socket[Symbol.asyncIterator](), waiting = messages.next();
  await settle();
  assert.deepEqual(await messages.return(), { done: true, value: undefined });
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(await messages.next(), { done: true, value: undefined });
  ws.message('x');
  for await (const message of socket) {
    assert.deepEqual(strings(message), ['x']);
    break;
  }
});

test('return ends its own iteration only', async () => {
  const { socket, ws } = await connected(Pull, ['PUSH']);
  const [first, second] = [socket[Symbol.asyncIterator](), socket[Symbol.asyncIterator]()], next = first.next();
  const busy = second.next();
  second.return();
  assert.deepEqual(await busy, { done: true, value: undefined });
  await assert.rejects(first.next(), { code: 'EBUSY' });
  ws.message('a');
  assert.deepEqual(strings((await next).value), ['a']);
  const waiting = first.next();
  await assert.rejects(first.next(), { code: 'EBUSY' });
  first.return();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

test('receiveTimeout does not end an iteration', async () => {
  const { socket, ws } = await connected(Sub, ['PUB'], { receiveTimeout: 10 });
  const next = socket[Symbol.asyncIterator]().next();
  await advance(1000);
  ws.message('x');
  assert.deepEqual(strings((await next).value), ['x']);
});

test('text and json of messages and frames', async () => {
  const { socket, ws } = await connected(Sub, ['PUB']);
  ws.message('topic', '{"a":1}');
  const message = await socket.receive(), [topic, value] = message;
  assert.deepEqual([message.text(), message.text(0), message.json(), topic.text(), value.json()], ['{"a":1}', 'topic', { a: 1 }, 'topic', { a: 1 }]);
  assert.throws(() => message.json(0), SyntaxError);
  assert.equal(Object.getPrototypeOf(message.map(String)), Array.prototype);
  const m = await beginMux(), over1 = await over(m, Req);
  m.ws.ready().opened(1);
  await over1.socket.send('?');
  m.ws.message(1, ['', '7']);
  assert.equal((await over1.socket.receive()).json(), 7);
});

test('decode', async () => {
  const { socket, ws } = await connected(Sub, ['PUB'], { decode: (message) => ({ topic: message.text(0), value: message.json() }) });
  ws.message('a', '1');
  ws.message('b', 'wrong');
  ws.message('c', '3');
  assert.deepEqual(await socket.receive(), { topic: 'a', value: 1 });
  await assert.rejects(socket.receive(), SyntaxError);
  for await (const { value } of socket) {
    assert.equal(value, 3);
    break;
  }
});

test('on message, once, off', async () => {
  const { socket, ws, opened } = await connected(Sub, ['PUB']);
  const got = [], once = [];
  const handler = (message) => got.push(message.text());
  assert.equal(socket.on('message', handler), socket);
  socket.once('message', (message) => once.push(message.text()));
  ws.message('1');
  ws.message('2');
  await settle();
  assert.deepEqual([got, once], [['1', '2'], ['1']]);
  await assert.rejects(socket.receive(), { code: 'EBUSY' });
  opened[0].lose(4403, 'no'); // reported by the event refused
  await settle();
  socket.connect('ws://host/0');
  await settle();
  opened[1].login('PUB').message('3');
  await settle();
  assert.deepEqual(got, ['1', '2', '3']);
  socket.off('message', handler);
  opened[1].message('4');
  await settle();
  assert.deepEqual([got.length, strings(await socket.receive())], [3, ['4']], 'off ends the reading at once');
  socket.on('message', handler).off('message', handler).on('message', handler);
  opened[1].message('5');
  await settle();
  assert.deepEqual(got, ['1', '2', '3', '5']);
});

test('no event message after close', async () => {
  const { socket, ws } = await connected(Pull, ['PUSH']), got = [];
  socket.on('message', (message) => {
    got.push(message.text());
    socket.close();
  });
  ws.message('a');
  ws.message('b');
  await settle();
  assert.deepEqual(got, ['a']);
});

test('a message that cannot be decoded does not end the event message', async () => {
  const { socket, ws } = await connected(Sub, ['PUB'], { decode: (message) => message.json() });
  const thrown = [], got = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.name));
  socket.on('message', (value) => got.push(value));
  for (const text of ['1', 'wrong', '3']) ws.message(text);
  await settle();
  process.setUncaughtExceptionCaptureCallback(null);
  assert.deepEqual([thrown, got], [['SyntaxError'], [1, 3]]);
});

test('a handler for messages that throws does not end the others', async () => {
  const { socket, ws } = await connected(Sub, ['PUB']);
  const thrown = [], got = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  socket.on('message', () => { throw new Error("the page's"); }).on('message', (message) => got.push(message.text()));
  ws.message('1');
  ws.message('2');
  await settle();
  process.setUncaughtExceptionCaptureCallback(null);
  assert.deepEqual([thrown.length, got], [2, ['1', '2']]);
});

test('a handler before connect', async () => {
  const { WebSocket, opened } = network();
  const socket = new Sub({ WebSocket }), got = [];
  socket.on('message', (message) => got.push(message.text())).once('ready', ({ url }) => got.push(url));
  socket.connect('ws://host/');
  await settle();
  opened[0].login('PUB').message('1');
  await settle();
  assert.deepEqual(got, ['ws://host/', '1']);
});

test('state', async () => {
  const { WebSocket, opened } = network();
  const socket = new Dealer({ WebSocket, reconnectInterval: 1 });
  const states = [socket.state];
  const note = () => states.push(socket.state);
  socket.connect('ws://host/');
  await settle();
  note();
  opened[0].login('ROUTER');
  note();
  opened[0].lose();
  note();
  await advance(1);
  opened[1].lose(4403, 'no');
  note();
  socket.close();
  note();
  assert.deepEqual(states, ['idle', 'connecting', 'ready', 'reconnecting', 'refused', 'closed']);
});

test('stats', async () => {
  const { socket, ws, opened } = await connected(Dealer, ['ROUTER'], { receiveHighWaterMark: 2, reconnectInterval: 1 });
  await socket.send('1');
  await socket.send('2');
  for (const value of ['1', '2', '3']) ws.message(value);
  await advance(0);
  assert.deepEqual(socket.stats, { received: 3, sent: 2, dropped: 1, reconnects: 0, unread: 2, queued: 0, rtt: undefined });
  ws.lose();
  await socket.send('3');
  await advance(1);
  assert.equal(socket.stats.queued, 1);
  opened[1].login('ROUTER');
  assert.deepEqual([socket.stats.reconnects, socket.stats.sent, socket.stats.queued], [1, 3, 0]);
});

test('drain', async () => {
  const { socket, ws } = await connected(Push, ['PULL']);
  await socket.drain();
  ws.bufferedAmount = 1 << 20; // its buffer is full
  await socket.send('x');
  let done = false;
  const draining = socket.drain().then(() => { done = true; });
  for (let i = 0; i < 5; i++) await advance(10);
  assert.equal(done, false);
  ws.bufferedAmount = 10;
  for (let i = 0; i < 5; i++) await advance(10);
  assert.deepEqual([done, ws.messages], [false, [['x']]]);
  ws.bufferedAmount = 0;
  await advance(10);
  await draining;

  await assert.rejects(socket.drain({ signal: AbortSignal.abort() }), aborted);
  ws.bufferedAmount = 1;
  const closed = assert.rejects(socket.drain(), { code: 'ECLOSED' });
  socket.close();
  await advance(10);
  await closed;
});

test('drain waits for credit', async () => {
  const m = await beginMux(), { socket } = await over(m, Push);
  m.ws.ready().opened(1, 1);
  await socket.send('1');
  await socket.send('2');
  let done = false;
  const draining = socket.drain().then(() => { done = true; });
  await advance(10);
  assert.equal(done, false);
  m.ws.credit(1, 100);
  await advance(10);
  await draining;
});

test('request: replies, in turn', async () => {
  const { socket, ws } = await connected(Req, ['ROUTER']);
  const first = socket.request('one'), second = socket.request(['two', 'frames']);
  await settle();
  assert.deepEqual(ws.messages, [['1', '', 'one']]);
  ws.message('1', '', 'answer', '1');
  assert.deepEqual(strings(await first), ['answer', '1']);
  await settle();
  assert.deepEqual(ws.messages[1], ['2', '', 'two', 'frames']);
  ws.message('', 'without a number');
  ws.message('1', '', 'late');
  ws.message('2', '', 'answer 2');
  assert.equal((await second).text(), 'answer 2');
  await socket.send('plain');
  ws.message('', 'fine');
  assert.equal((await socket.receive()).text(), 'fine');
});

test('request: timeout, retries and late replies', async () => {
  const { socket, ws } = await connected(Req, ['ROUTER']);
  const lost = assert.rejects(socket.request('1', { timeout: 100 }), { code: 'EAGAIN' });
  await settle();
  await advance(100);
  await lost;
  const second = socket.request('2', { timeout: 100, retries: 1 });
  await settle();
  ws.message('1', '', 'too late');
  await advance(100);
  assert.deepEqual(ws.messages.map(([id]) => id), ['1', '2', '3']);
  ws.message('2', '', 'of the first try');
  ws.message('3', '', 'good');
  assert.equal((await second).text(), 'good');
});

test('request: signal, and a lost connection', async () => {
  const { socket, ws, opened } = await connected(Req, ['ROUTER'], { reconnectInterval: 1 });
  const controller = new AbortController(), stopped = socket.request('1', { signal: controller.signal });
  await settle();
  controller.abort();
  await assert.rejects(stopped, aborted);
  const lost = socket.request('2');
  await settle();
  ws.lose();
  await assert.rejects(lost, { code: 'ELOST' });
  const abandoned = new AbortController(), queued = socket.request('3', { signal: abandoned.signal });
  await settle();
  abandoned.abort();
  await assert.rejects(queued, aborted);
  const again = socket.request('4', { retries: 1 });
  await advance(1);
  opened[1].login('ROUTER');
  assert.deepEqual(opened[1].messages, [['4', '', '4']], 'without the request that was given up');
  opened[1].lose();
  await settle();
  await advance(10);
  opened[2].login('ROUTER').message('5', '', 'yes');
  assert.equal((await again).text(), 'yes');
  assert.throws(() => socket.request([]), RangeError);
});

test('request: signal while an earlier one has no reply', async () => {
  const { socket, ws } = await connected(Req, ['ROUTER']), controller = new AbortController();
  const first = socket.request('1'), second = socket.request('2', { signal: controller.signal }), third = socket.request('3');
  await settle();
  controller.abort();
  await assert.rejects(second, aborted);
  await assert.rejects(socket.request('4', { signal: AbortSignal.abort() }), aborted);
  ws.message('1', '', 'one');
  assert.equal((await first).text(), 'one');
  await settle();
  assert.deepEqual(ws.messages.map((frames) => frames.at(-1)), ['1', '3'], 'without what was given up');
  ws.message('2', '', 'three');
  assert.equal((await third).text(), 'three');
});

test('Req: the application disconnects from what owes the reply', async () => {
  const { socket, opened } = await connected(Req, ['ROUTER', 'ROUTER']), urls = ['ws://host/0', 'ws://host/1'];
  const owing = () => opened.slice(0, 2).findIndex((ws) => ws.messages.length);
  const waiting = socket.request('a', { retries: 1 });
  await settle();
  const first = owing(), other = opened[1 - first];
  socket.disconnect(urls[first]);
  await settle();
  other.message('2', '', 'yes');
  assert.equal((await waiting).text(), 'yes', 'the next attempt is with the other');
  await socket.send('b');
  const reply = assert.rejects(socket.receive(), { code: 'ECLOSED' });
  socket.disconnect(urls[1 - first]);
  await reply;
  socket.connect(urls[0]);
  await settle();
  opened[2].login('ROUTER');
  await socket.send('c');
  opened[2].message('', 'again');
  assert.equal((await socket.receive()).text(), 'again');
});

test('await using', async () => {
  const { WebSocket } = network();
  const dispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
  const socket = new Pair({ WebSocket }), mux = new Mux('ws://host/', { WebSocket });
  await socket[dispose]();
  await mux[dispose]();
  assert.deepEqual([socket.state, mux.state], ['closed', 'closed']);
  await assert.rejects(socket.receive(), ClosedError);
});

test('debug', async () => {
  const lines = [];
  mock.method(console, 'debug', (...args) => lines.push(args[0]));
  const { ws } = await connected(Sub, ['PUB'], { debug: true });
  ws.lose();
  assert.deepEqual(lines, ['zws SUB ws://host/0: ready', 'zws SUB ws://host/0: disconnect']);
});
