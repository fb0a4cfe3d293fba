// The credit of channels, and the limits of what comes on them. The server is the test.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Pull, Push, Req, Sub } from '../zws.js';
import { settle } from './fake.js';
import { connected } from './fakemux.js';

const strings = (message) => message.map(String);

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('credit that the server gives', async () => {
  const { ws, socket } = await connected(Push, { credit: 10 });
  for (const n of ['1', '2', '3', '4']) await socket.send(n);
  // Each costs 9 octets: the second takes the credit below 0.
  assert.deepEqual(ws.on(1), [['1'], ['2']]);
  ws.credit(1, 8);
  assert.deepEqual(ws.on(1), [['1'], ['2']]);
  ws.credit(1, 1);
  assert.deepEqual(ws.on(1), [['1'], ['2'], ['3']]);
  ws.credit(1, 100);
  assert.deepEqual(ws.on(1), [['1'], ['2'], ['3'], ['4']]);
});

test('subscriptions wait for credit in their order', async () => {
  const { ws, socket } = await connected(Sub, { credit: 1 });
  socket.subscribe('a', 'b');
  socket.unsubscribe('a');
  assert.deepEqual(ws.on(1), [['\x01a']]);
  ws.credit(1, 1000);
  assert.deepEqual(ws.on(1), [['\x01a'], ['\x01b'], ['\0a']]);
});

/** The credit that the client has given back. */
const given = (ws) => ws.sent.filter(({ op }) => op === 'credit').map(({ size }) => size);

test('credit that we give follows the reader, and nothing is dropped', async () => {
  const { ws, socket, events } = await connected(Pull, { window: 100, options: { receiveHighWaterMark: 1 } });
  for (let i = 0; i < 5; i++) ws.tell(1, ['0123456789ab']); // 20 octets each
  await pass(1000);
  assert.deepEqual([given(ws), events], [[], [['ready', {}]]], 'nobody reads');
  await socket.receive();
  await socket.receive();
  assert.deepEqual(given(ws), []);
  await socket.receive();
  assert.deepEqual(given(ws), [60]);
  ws.tell(1, ['0123456789ab'.repeat(10)]); // more than the window
  for (let i = 0; i < 3; i++) await socket.receive();
  assert.deepEqual(given(ws), [60, 168]);
});

test('what nobody will read costs no credit', async () => {
  for (const Type of [Push, Req]) {
    const { ws } = await connected(Type, { window: 100 });
    for (let i = 0; i < 6; i++) ws.tell(1, ['0123456789ab']);
    assert.deepEqual(given(ws), [60, 60]);
  }
});

test('what was not read before a loss counts after it', async () => {
  const { ws, socket, opened } = await connected(Pull, { window: 100 });
  ws.tell(1, ['0123456789ab'], ['0123456789ab'], ['0123456789ab']);
  ws.lose();
  await pass(250);
  const again = opened[1].ready().opened(1);
  assert.equal(again.sent[1].window, 40);
  await socket.receive();
  await socket.receive();
  assert.deepEqual(given(again), []);
  await socket.receive();
  assert.deepEqual(given(again), [60]);
});

test('what a lost channel waits with is forgotten', async () => {
  const { ws, socket, opened } = await connected(Sub, { credit: 0 });
  socket.subscribe('a');
  socket.unsubscribe('a');
  ws.lose();
  await pass(250);
  assert.deepEqual(opened[1].ready().opened(1).on(1), []);
});

test('limits of messages, just below and above, end one channel', async () => {
  for (const [options, just, above] of [
    [{ maxMessageSize: 10 }, ['12345', '12345'], ['12345', '123456']],
    [{ maxFrames: 2 }, ['', ''], ['', '', '']],
  ]) {
    const { ws, socket, muxEvents } = await connected(Pull, { options });
    ws.tell(1, just);
    assert.equal((await socket.receive()).length, 2);
    ws.tell(1, above);
    await assert.rejects(socket.receive(), { name: 'RefusedError', code: 1009 });
    assert.deepEqual(ws.sent.at(-1), { op: 'close', channel: 1, code: 1009 });
    assert.equal(muxEvents.length, 1);
  }
});
