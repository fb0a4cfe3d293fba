// A relay over a Mux. The test plays the server and the backend.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Dealer, Sub, bearer, plain } from '../zws.js';
import { Mux } from '../zws/mux.js';
import { relay } from '../zws/relay.js';
import { command, metadata, record, settle } from './fake.js';
import { network } from './fakemux.js';

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1);
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

const text = (data) => String.fromCharCode(...data);
/** Returns a command of the backend as a ZWS frame. */
const backendSends = (name, ...data) => text([2, ...command(name, ...data)]);
const readyAs = (type) => backendSends('READY', metadata([['Socket-Type', type]]));
const frames = (ws, channel) => ws.on(channel).map(([frame]) => frame);

/** Returns a socket that connects to a relay with PLAIN, on a Mux that is logged in. */
async function begin(Type = Dealer, options = {}, more = {}) {
  const { WebSocket, opened } = network();
  const mux = new Mux('wss://host/any', { WebSocket, ...more });
  const socket = new Type({ WebSocket, login: plain('ann', 'there'), ...options });
  const events = record(socket), ready = socket.connect(relay(mux, '/vault'));
  await settle();
  const ws = opened[0].ready();
  return { mux, socket, events, ready, opened, ws };
}

const relayed = (ws, channel, minor, credit = 65536) => ws.sendFrame('relayed', [channel, 4], [credit, 4], [minor, 1]);

/** Completes the login to a backend that speaks ZMTP 3.1. */
function welcome(ws, channel, type) {
  relayed(ws, channel, 1).message(channel, [backendSends('WELCOME')]).message(channel, [readyAs(type)]);
}

test('logs in to the backend', async () => {
  const { ws, ready, socket, events } = await begin();
  assert.deepEqual(ws.sent[1], { op: 'relay', channel: 1, window: 262144, mechanism: 'PLAIN', route: '/vault' });
  welcome(ws, 1, 'ROUTER');
  await ready;
  assert.deepEqual(frames(ws, 1).map((frame) => frame.slice(0, 10)), ['\x02\x05HELLO\x03an', '\x02\x08INITIATE']);
  assert.deepEqual(events, [['ready', { zmtp: '3.1' }]]);
  await socket.send(['a', 'b']);
  assert.deepEqual(frames(ws, 1).slice(2), ['\x01a', '\0b']);
  ws.message(1, ['\x01one'], ['\0two']);
  assert.deepEqual((await socket.receive()).map(String), ['one', 'two']);
  ws.message(1, [backendSends('PING', [0, 9])]);
  assert.equal(frames(ws, 1).at(-1), '\x02\x04PONG');
});

test('subscribes as the ZMTP version of the backend requires', async () => {
  for (const [minor, want] of [[1, backendSends('SUBSCRIBE', [97])], [0, '\0\x01a']]) {
    const { ws, ready, socket } = await begin(Sub);
    relayed(ws, 1, minor).message(1, [backendSends('WELCOME')]).message(1, [readyAs('PUB')]);
    await ready;
    socket.subscribe('a');
    assert.equal(frames(ws, 1).at(-1), want);
  }
});

test('reports the ERROR of a backend that refuses the login', async () => {
  const { ws, ready } = await begin();
  relayed(ws, 1, 1).message(1, [backendSends('ERROR', command('400'))]).refuse(1, 4502, 'backend 1 refused the login (400)');
  await assert.rejects(ready, { code: 4502, status: 400, reason: 'backend 1 refused the login (400)' });
});

test('a relay that the server refuses leaves the Mux alone', async () => {
  const { ws, ready, opened } = await begin();
  ws.refuse(1, 4404, 'unknown route "/vault"');
  await assert.rejects(ready, { code: 4404, reason: 'unknown route "/vault"' });
  await advance(60_000);
  assert.deepEqual([opened.length, ws.sent.length, ws.closedWith], [1, 2, undefined]);
});

test('logs in again after the backend was lost', async () => {
  const { ws, ready, events } = await begin();
  welcome(ws, 1, 'ROUTER');
  await ready;
  ws.refuse(1, 4503, 'backend 1 was lost');
  assert.deepEqual(events.at(-1), ['disconnect', { code: 4503, reason: 'backend 1 was lost', delay: 250, cause: undefined }]);
  await advance(250);
  assert.equal(ws.sent.at(-1).channel, 2);
  welcome(ws, 2, 'ROUTER');
  assert.deepEqual(events.at(-1), ['recovered', { zmtp: '3.1' }]);
});

test('comes back after the Mux was lost or its login expired', async () => {
  for (const code of [1006, 4401]) {
    let token = 'one';
    const { ws, ready, events, opened } = await begin(Dealer, {}, { login: bearer(() => token) });
    welcome(ws, 1, 'ROUTER');
    await ready;
    token = 'two';
    ws.lose(code, 'because');
    assert.deepEqual(events.at(-1), ['disconnect', { code: 1006, reason: 'because', delay: 250, cause: undefined }]);
    await advance(250);
    welcome(opened[1].ready(), 1, 'ROUTER');
    assert.deepEqual(events.at(-1), ['recovered', { zmtp: '3.1' }]);
  }
});

test('a Mux whose login is refused', async () => {
  const { WebSocket, opened } = network();
  const mux = new Mux('wss://host/any', { WebSocket }), socket = new Dealer({ WebSocket });
  const ready = socket.connect(relay(mux, '/vault'));
  await settle();
  opened[0].open().lose(4400, 'login refused');
  await assert.rejects(ready, { code: 4400, reason: 'login refused' });
  await assert.rejects(socket.connect(relay(mux, '/vault')), { code: 4400 });
});

test('credit', async () => {
  const { ws, ready, socket } = await begin();
  welcome(ws, 1, 'ROUTER');
  await ready;
  for (let i = 0; i < 5; i++) await socket.send('x'.repeat(60_000));
  assert.equal(frames(ws, 1).length, 4, 'two of the login, and two that the credit allows');
  ws.credit(1, 200_000);
  assert.equal(frames(ws, 1).length, 7);
  for (let i = 0; i < 6; i++) ws.message(1, [`\0${'x'.repeat(60_000)}`]);
  const granted = ws.sent.filter(({ op }) => op === 'credit').map(({ size }) => size);
  assert.ok(granted.length >= 2, 'credit for consumed frames is granted at once');
});

test('limits', async () => {
  const { ws, ready, socket } = await begin(Dealer, { maxMessageSize: 10 });
  welcome(ws, 1, 'ROUTER');
  await ready;
  ws.message(1, [`\0${'x'.repeat(11)}`]);
  await assert.rejects(socket.receive(), { code: 1009 });
  for (const wrong of [['\x01a', '\0b'], ['\0' + 'x'.repeat(17 << 10)]]) {
    const other = await begin(Dealer, { maxMessageSize: 10 });
    welcome(other.ws, 1, 'ROUTER');
    await other.ready;
    other.ws.message(1, wrong);
    await assert.rejects(other.socket.receive(), { code: 1009 });
    assert.equal(other.mux.ready, true);
  }
});

test('refuses an answer for another kind of channel', async () => {
  const { ws, ready, mux } = await begin();
  ws.opened(1);
  await assert.rejects(ready, { code: 1002 });
  assert.equal(mux.closed, true);
});

test('close by the socket, and by the Mux', async () => {
  for (const by of ['socket', 'mux']) {
    const m = await begin();
    welcome(m.ws, 1, 'ROUTER');
    await m.ready;
    m[by].close();
    await advance(60_000);
    assert.deepEqual([m.opened.length, m.socket.ready], [1, false]);
    if (by === 'socket') assert.deepEqual(m.ws.sent.at(-1), { op: 'close', channel: 1, code: 1000 });
    else assert.throws(() => m.socket.connect(relay(m.mux, '/vault')), { code: 'ECLOSED' });
  }
});
