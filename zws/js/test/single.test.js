// A socket of its own on a server that chooses ZWSMUX1.0. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Dealer, Pull, Push, Req, Sub, bearer, curve, curveKeyPair, plain } from '../zws.js';
import { network as plainNetwork, record, settle } from './fake.js';
import { URL, network } from './fakemux.js';

const strings = (message) => message.map(String);

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1); // always the longest delay
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

/** Returns a socket that has begun to connect. */
async function begin(Type = Sub, options = {}) {
  const { WebSocket, opened } = network();
  const socket = new Type({ WebSocket, ...options }), events = record(socket), ready = socket.connect(URL);
  await settle();
  return { socket, events, opened, ready, ws: opened[0] };
}

/** Answers the login and opens the channel. */
const accept = (ws, credit) => ws.open('ZWSMUX1.0').sendFrame('ready', [100, 4]).opened(1, credit);

async function connected(Type, options, credit) {
  const c = await begin(Type, options);
  accept(c.ws, credit);
  await c.ready;
  return c;
}

test('offers ZWSMUX1.0 first, and opens one channel on the route of the URL', async () => {
  const { ws, socket, events, ready } = await begin(Sub, { login: plain('ann', 'secret'), routingId: 'me' });
  assert.deepEqual([ws.url, ws.protocols], [URL, ['ZWSMUX1.0', 'ZWS2.0+PLAIN']]);
  ws.open('ZWSMUX1.0');
  assert.deepEqual(ws.sent, [{ op: 'login', mechanism: 'PLAIN', data: '\x03ann\x06secret' }]);
  ws.sendFrame('ready', [100, 4]);
  assert.deepEqual(ws.sent[1], { op: 'open', channel: 1, window: 1 << 20, type: 'SUB', routingId: 'me', route: '' });
  assert.deepEqual([socket.ready, events], [false, []]);
  ws.opened(1);
  await ready;
  assert.deepEqual([socket.ready, events], [true, [['ready', {}]]]);
});

test('the login decides what is offered', async () => {
  const keys = await curveKeyPair();
  for (const [login, want] of [
    [undefined, ['ZWSMUX1.0', 'ZWS2.0+NULL']],
    [bearer('token'), ['ZWSMUX1.0', 'ZWS2.0+BEARER']],
    [curve({ serverKey: (await curveKeyPair()).publicKey, ...keys }), ['ZWS2.0+CURVE']],
  ]) {
    const { WebSocket, opened } = plainNetwork();
    new Sub({ WebSocket, login }).connect(URL);
    while (!opened.length) await new Promise(setImmediate);
    assert.deepEqual(opened[0].protocols, want);
  }
});

test('sends and receives, again after a reconnect', async () => {
  const { ws, socket, opened, events } = await connected(Sub);
  socket.subscribe('a', 'b');
  socket.unsubscribe('b');
  assert.deepEqual(ws.on(1), [['\x01a'], ['\x01b'], ['\0b']]);
  ws.message(1, ['a/1', '21'], ['a/2', '']);
  assert.deepEqual([strings(await socket.receive()), strings(await socket.receive())], [['a/1', '21'], ['a/2', '']]);
  ws.lose(1001, 'the bridge is shutting down');
  await advance(250);
  assert.deepEqual(accept(opened[1]).on(1), [['\x01a']]);
  assert.deepEqual(events.slice(1), [['disconnect', { code: 1001, reason: 'the bridge is shutting down', delay: 250, cause: undefined }], ['recovered', {}]]);
});

test('a server may choose another subprotocol after a reconnect', async () => {
  const { ws, socket, opened } = await connected(Dealer);
  ws.message(1, ['unread']);
  ws.lose();
  await advance(250);
  const calls = [];
  opened[1].open('ZWS2.0+NULL');
  assert.equal(opened[1].sent.length, 1);
  opened[1].lose();
  await advance(500);
  accept(opened[2]).message(1, ['more']);
  for (let i = 0; i < 2; i++) calls.push(strings(await socket.receive()));
  assert.deepEqual(calls, [['unread'], ['more']]);
});

test('Req and Push', async () => {
  const req = await connected(Req), push = await connected(Push, {}, 10);
  await req.socket.send('question');
  req.ws.message(1, ['no delimiter'], ['', 'answer'], ['', 'twice']);
  assert.deepEqual(strings(await req.socket.receive()), ['answer']);
  for (const n of ['1', '2', '3']) await push.socket.send(n);
  assert.deepEqual(push.ws.on(1), [['1'], ['2']], 'each costs 9 bytes');
  push.ws.credit(1, 100);
  assert.deepEqual(push.ws.on(1), [['1'], ['2'], ['3']]);
});

test('grants credit as the application reads, and drops nothing', async () => {
  const { ws, socket, events, opened } = await connected(Pull, { receiveHighWaterMark: 1 });
  const granted = () => opened.at(-1).sent.filter(({ op }) => op === 'credit').map(({ size }) => size);
  const large = 'x'.repeat((256 << 10) - 8);
  ws.message(1, [large], [large], [large]);
  await advance(1000);
  assert.deepEqual([granted(), events.length], [[], 1]);
  for (let i = 0; i < 2; i++) await socket.receive();
  assert.deepEqual(granted(), [512 << 10]);
  ws.lose();
  await advance(250);
  opened[1].open('ZWSMUX1.0').sendFrame('ready', [100, 4]);
  assert.equal(opened[1].sent[1].window, (1024 - 256) << 10, 'one message is unread');
});

test('refusals before and after the channel is open', async () => {
  for (const [code, status] of [[4400, 400], [4403, 400], [4404, 400], [4406, 400], [4409, 400], [4502, 400], [4500, 500], [1002, 0]]) {
    const { ws, events, ready } = await begin();
    ws.open('ZWSMUX1.0').sendFrame('ready', [100, 4]).refuse(1, code, 'because');
    await assert.rejects(ready, { name: 'RefusedError', code, status, reason: 'because' });
    assert.deepEqual([ws.closedWith, events], [1000, [['refused', { code, reason: 'because', status }]]]);
  }
  for (const code of [4403, 4409, 4502]) {
    const { ws, socket } = await connected(Sub);
    ws.refuse(1, code, 'because');
    await assert.rejects(socket.receive(), { code, status: 0 });
  }
  const { ws, ready } = await begin();
  ws.open('ZWSMUX1.0').lose(4400, 'login refused');
  await assert.rejects(ready, { code: 4400, status: 400 });
});

test('tries again after a temporary failure', async () => {
  for (const code of [1000, 1001, 4300, 4408, 4429, 4503, 4504, 4508]) {
    const { ws, events, opened } = await begin();
    ws.open('ZWSMUX1.0').sendFrame('ready', [100, 4]).refuse(1, code, 'because');
    const [[name, { delay }]] = events;
    assert.deepEqual([name, ws.closedWith], ['disconnect', 1000]);
    await advance(delay);
    assert.equal(opened.length, 2);
  }
});

test('renews the login, and logs in again after it has expired', async () => {
  let token = 'one';
  const { ws, events, opened } = await connected(Sub, { login: bearer(() => token) });
  token = 'two';
  ws.sendFrame('expiring', [30, 4]);
  await settle();
  assert.deepEqual(ws.sent.at(-1), { op: 'login', mechanism: 'BEARER', data: 'two' });
  ws.sendFrame('ready', [100, 4]);
  assert.deepEqual(events, [['ready', {}], ['expiring', { seconds: 30 }], ['renewed', {}]]);
  assert.equal(ws.sent.filter(({ op }) => op === 'open').length, 1);
  token = 'three';
  ws.refuse(1, 4401, 'the login has expired');
  await advance(250);
  assert.deepEqual(opened[1].open('ZWSMUX1.0').sent, [{ op: 'login', mechanism: 'BEARER', data: 'three' }]);
});

test('an announcement before the channel is open', async () => {
  let token = 'one';
  const { ws, events } = await begin(Sub, { login: bearer(() => token) });
  ws.open('ZWSMUX1.0').sendFrame('ready', [100, 4]).sendFrame('expiring', [30, 4]);
  token = 'two';
  ws.opened(1);
  await settle();
  assert.deepEqual(events, [['ready', {}], ['expiring', { seconds: 30 }]]);
  assert.deepEqual(ws.sent.at(-1), { op: 'login', mechanism: 'BEARER', data: 'two' });

  const closing = await begin(Sub, { login: bearer(() => token) });
  closing.socket.on('ready', () => closing.socket.close());
  closing.ws.open('ZWSMUX1.0').sendFrame('ready', [100, 4]).sendFrame('expiring', [30, 4]).opened(1);
  assert.deepEqual(closing.events, [['ready', {}]]);
});

test('notifications and heartbeats', async () => {
  const { ws, events, socket } = await connected(Sub);
  socket.subscribe('a');
  ws.sendFrame('lost', [1, 4], [258, 8]).sendFrame('unsubscribed', [1, 4], 'a');
  await advance(30_000);
  assert.deepEqual([events.map(([name]) => name), ws.pings], [['ready', 'lost', 'unsubscribed'], [[1]]]);
  ws.deaf = true;
  await advance(30_000);
  await advance(10_000);
  assert.equal(events.at(-1)[1].reason, 'the server did not answer a ping within 10000 ms');
});

test('close', async () => {
  const { ws, socket } = await connected(Sub);
  socket.close();
  assert.equal(ws.closedWith, 1000);
});

const DEFECTS = {
  'another channel': [(ws) => ws.message(2, ['x']), 1002],
  'opened twice': [(ws) => ws.opened(1), 1002],
  'a message without credit': [(ws) => ws.message(1, ['x'.repeat(1 << 20)]).message(1, ['x']), 1002],
  'a message over the limit': [(ws) => ws.message(1, ['x'.repeat(1 << 20), 'x']), 1009],
  'text': [(ws) => ws.onmessage({ data: 'ready' }), 1003],
};

for (const [name, [defect, code]] of Object.entries(DEFECTS)) {
  test(`refuses ${name}`, async () => {
    const { ws, socket } = await connected(Sub);
    defect(ws);
    await assert.rejects((async () => { for await (const _ of socket); })(), { name: 'RefusedError', code });
    assert.equal(ws.closedWith, 1000);
  });
}

test('refuses frames that come too early', async () => {
  for (const early of [(ws) => ws.opened(1), (ws) => ws.sendFrame('ready', [100, 4]).message(1, ['x'])]) {
    const { ws, ready } = await begin();
    early(ws.open('ZWSMUX1.0'));
    await assert.rejects(ready, { code: 1002 });
  }
});

test('a message that is kept keeps little of its frame in memory', async () => {
  const { ws, socket } = await connected(Pull);
  ws.message(1, ...Array.from({ length: 500 }, (_, i) => [`message ${i}`, 'x'.repeat(i % 100)]), ['large', 'x'.repeat(10_000)], ['last']);
  for (let i = 0; i < 502; i++) {
    const message = await socket.receive();
    if (i < 500) assert.deepEqual(strings(message), [`message ${i}`, 'x'.repeat(i % 100)]);
    assert.ok(message[0].buffer.byteLength <= (i === 500 ? 11_000 : 2048), `${message[0].buffer.byteLength} bytes`);
  }
});
