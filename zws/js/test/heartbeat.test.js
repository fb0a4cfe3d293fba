// A server that is not there any more, and what makes a socket look. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Sub } from '../zws.js';
import { COMMAND } from '../zws/frame.js';
import { parseCommand } from '../zws/command.js';
import { begin, metadata, settle } from './fake.js';
import { begin as beginMux, over } from './fakemux.js';

const page = new EventTarget();

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1); // always the longest delay
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  globalThis.document = { hidden: false };
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
  delete globalThis.addEventListener;
  delete globalThis.removeEventListener;
  delete globalThis.document;
});

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

const answering = metadata([['Socket-Type', 'PUB'], ['Heartbeat', '1']]);
const pings = (ws) => ws.sent.filter(({ flag }) => flag === COMMAND).map(({ body }) => parseCommand(body)).filter(({ name }) => name === 'PING');
const silence = (timeout, delay = 250) => ['disconnect', { code: 1006, reason: `the server did not answer a ping within ${timeout} ms`, delay, cause: undefined }];

/** Returns a socket that is ready on a server that answers pings. */
async function connected(options) {
  const c = await begin(options);
  c.ws.open().command('READY', answering);
  await c.ready;
  return c;
}

test('pings, and connects again when nothing comes back', async () => {
  const { ws, events, opened, socket } = await connected();
  await advance(29_999);
  assert.equal(pings(ws).length, 0);
  await advance(1);
  assert.deepEqual(pings(ws).map(({ data }) => [...data]), [[0, 0, 1]]);
  ws.command('PONG', [1]);
  await advance(30_000);
  assert.equal(pings(ws).length, 2);
  await advance(9_999);
  assert.equal(events.length, 1);
  await advance(1);
  assert.deepEqual(events.at(-1), silence(10_000));
  assert.equal(ws.closedWith, 1000);
  await advance(250);
  opened[1].open().command('READY', answering);
  assert.equal(socket.ready, true);
});

test('whatever the server sends is a sign of life', async () => {
  const { ws, events } = await connected({ heartbeat: { interval: 100, timeout: 50 } });
  for (let i = 0; i < 10; i++) {
    await advance(100);
    ws.message('a');
  }
  assert.equal(events.length, 1);
  await advance(100);
  await advance(50);
  assert.deepEqual(events.at(-1), silence(50));
});

test('the timeout can be longer than the interval', async () => {
  const { ws, events } = await connected({ heartbeat: { interval: 100, timeout: 250 } });
  await advance(100);
  await advance(249);
  assert.deepEqual([pings(ws).length, events.length], [1, 1], 'one ping is unanswered at a time');
  await advance(1);
  assert.deepEqual(events.at(-1), silence(250));
});

test('no pings to servers that do not announce that they answer, or with heartbeat: false', async () => {
  const { ws, events } = await begin();
  ws.login('PUB');
  const off = await connected({ heartbeat: false });
  await advance(600_000);
  assert.deepEqual([pings(ws).length, pings(off.ws).length, events.length, off.events.length], [0, 0, 1, 1]);
});

test('a peer of ZMTP 3.1 behind a relay answers, one of 3.0 does not', async () => {
  for (const [minor, expected] of [[0, 0], [1, 1]]) {
    const { ws, ready } = await begin();
    ws.open().command('GREETING', [minor]);
    ws.command('READY', metadata([['Socket-Type', 'PUB']]));
    await ready;
    await advance(30_000);
    assert.equal(pings(ws).length, expected);
  }
});

test('a page that was frozen asks again before it gives up', async () => {
  const { ws, events } = await connected();
  let now = 0;
  mock.method(performance, 'now', () => now);
  await advance(30_000);
  now = 3_600_000; // the timers have not run for an hour
  await advance(10_000);
  assert.deepEqual([pings(ws).length, events.length], [2, 1]);
  ws.command('PONG', [2]);
  await advance(10_000);
  assert.equal(events.length, 1);
});

test('measures the time of an answer', async () => {
  const { ws, socket } = await connected();
  let now = 1000;
  mock.method(performance, 'now', () => now);
  await advance(30_000);
  now = 1042;
  ws.command('PONG', [7]); // not the answer
  assert.equal(socket._connections[0].rtt, undefined);
  ws.command('PONG', [1]);
  assert.equal(socket._connections[0].rtt, 42);
});

test('Mux: pings for all sockets', async () => {
  const m = await beginMux();
  m.ws.ready();
  const { events } = await over(m, Sub);
  m.ws.opened(1);
  await advance(30_000);
  assert.deepEqual([m.ws.pings, m.events.length], [[[1]], 1]);
  m.ws.deaf = true;
  await advance(30_000);
  await advance(10_000);
  assert.deepEqual([m.ws.pings.length, m.events.at(-1), events.at(-1)], [2, silence(10_000), silence(10_000)]);

  const off = await beginMux({ heartbeat: false });
  off.ws.ready();
  await advance(600_000);
  assert.deepEqual(off.ws.pings, []);
});

test('the network comes back, or the page is shown again: tries at once', async () => {
  for (const name of ['online', 'pageshow', 'visibilitychange']) {
    const { ws, opened, socket } = await begin();
    ws.lose();
    page.dispatchEvent(new Event('offline'));
    assert.equal(opened.length, 1);
    page.dispatchEvent(new Event(name));
    await settle();
    assert.equal(opened.length, 2);
    page.dispatchEvent(new Event(name)); // while it connects
    await advance(30_000);
    assert.equal(opened.length, 2);
    await advance(500);
    assert.equal(opened.length, 3, 'after the time for the handshake, not before');
    socket.close();
    page.dispatchEvent(new Event(name));
    await advance(60_000);
    assert.equal(opened.length, 3);
  }
});

test('the network changes: pings at once', async () => {
  for (const name of ['online', 'offline', 'pageshow', 'visibilitychange']) {
    const { ws, events } = await connected();
    page.dispatchEvent(new Event(name));
    page.dispatchEvent(new Event(name));
    assert.equal(pings(ws).length, 1);
    await advance(10_000);
    assert.deepEqual(events.at(-1), silence(10_000));
  }
});

test('a page that is hidden does nothing, and one that is shown tries at once', async () => {
  const { ws, opened } = await begin();
  ws.lose();
  for (const hidden of [true, false]) {
    document.hidden = hidden;
    page.dispatchEvent(new Event('visibilitychange'));
    await settle();
    assert.equal(opened.length, hidden ? 1 : 2);
  }
});

test('waits as the server has said although the network comes back', async () => {
  for (const [code, reason] of [[1001, 'restarting; retry in 60s'], [4429, 'too many']]) {
    const { ws, opened } = await begin();
    ws.open().lose(code, reason);
    page.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(opened.length, 1);
  }
});

test('reconnect: while waiting, while connecting, and while ready', async () => {
  const { socket, ws, opened, events } = await begin();
  ws.open().lose(4429, 'too many');
  socket.reconnect();
  await settle();
  assert.equal(opened.length, 2);
  socket.reconnect();
  await settle();
  assert.deepEqual([opened.length, opened[1].closedWith], [3, 1000]);
  opened[1].lose();
  opened[2].login('PUB');
  socket.subscribe('a');
  socket.reconnect();
  await settle();
  assert.deepEqual([opened.length, socket.ready], [4, false]);
  assert.deepEqual(opened[3].login('PUB').messages, [['\x01a']]);
  assert.deepEqual(events.slice(1), [['ready', {}], ['disconnect', { code: 1000, reason: 'reconnecting', delay: 0, cause: undefined }], ['recovered', {}]]);
  socket.close();
  assert.throws(() => socket.reconnect(), { code: 'ECLOSED' });
});

test('Mux: reconnect of a socket, and of the Mux', async () => {
  const m = await beginMux(), { socket, events } = await over(m, Sub);
  m.ws.ready().opened(1);
  socket.reconnect();
  assert.deepEqual(m.ws.sent.slice(-2).map(({ op, channel }) => [op, channel]), [['close', 1], ['open', 2]]);
  m.ws.opened(2);
  assert.deepEqual(events.map(([name]) => name), ['ready', 'disconnect', 'recovered']);
  m.mux.reconnect();
  await settle();
  assert.equal(m.opened.length, 2);
  m.opened[1].ready().opened(1);
  assert.equal(socket.ready, true);
  m.opened[1].lose(4429);
  socket.reconnect(); // the Mux waits
  await settle();
  assert.equal(m.opened.length, 3);
  m.mux.close();
  assert.throws(() => m.mux.reconnect(), { code: 'ECLOSED' });
});

test('backoff chooses the delays', async () => {
  const attempts = [];
  const { opened, events } = await begin({ backoff: (attempt) => { attempts.push(attempt); return attempt * 100; } });
  for (const delay of [100, 200, 300]) {
    opened.at(-1).lose(attempts.length ? 1006 : 4429);
    assert.equal(events.at(-1)[1].delay, delay);
    await advance(delay);
  }
  assert.deepEqual(attempts, [1, 2, 3]);
  opened.at(-1).lose(1001, 'restarting; retry in 2s');
  assert.equal(events.at(-1)[1].delay, 3000, "the server's advice comes first");
});

test('a backoff that fails does not end the attempts', async () => {
  const reported = [];
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error.message));
  for (const backoff of [() => NaN, () => -1, () => 'x', () => { throw new Error("the page's"); }]) {
    const { ws, events } = await begin({ backoff });
    ws.lose();
    assert.equal(events[0][1].delay, 500);
    await settle();
  }
  process.setUncaughtExceptionCaptureCallback(null);
  assert.equal(reported.length, 4);
});

test('reconnectInterval: -1 never tries again', async () => {
  const { ws, ready, opened, events } = await begin({ reconnectInterval: -1 });
  ws.lose();
  await assert.rejects(ready, { name: 'RefusedError', code: 1006 });
  await advance(600_000);
  assert.deepEqual([opened.length, events.map(([name]) => name)], [1, ['refused']]);

  const m = await beginMux(), { ready: [opening] } = await over(m, Sub, ['/a'], { reconnectInterval: -1 });
  m.ws.ready().refuse(1, 4503, 'no backend');
  await assert.rejects(opening, { name: 'RefusedError', code: 4503 });
});

test('reconnectMaxInterval: 0 keeps the interval', async () => {
  const { opened, events } = await begin({ reconnectInterval: 100, reconnectMaxInterval: 0 });
  for (let i = 0; i < 5; i++) {
    opened.at(-1).lose();
    assert.equal(events.at(-1)[1].delay, 100);
    await advance(100);
  }
  opened.at(-1).lose(4429);
  assert.equal(events.at(-1)[1].delay, 30_000);
});

test('handshakeTimeout: 0 is without limit', async () => {
  const { events } = await begin({ handshakeTimeout: 0 });
  await advance(2 ** 30);
  assert.deepEqual(events, []);
});
