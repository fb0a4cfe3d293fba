// Credit of channels and limits of their messages. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Pull, Push, Req, Sub } from '../zws.js';
import { settle } from './fake.js';
import { connected } from './fakemux.js';

const strings = (message) => message.map(String);

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('sends while the server grants credit', async () => {
  const { ws, socket } = await connected(Push, { credit: 10 });
  for (const n of ['1', '2', '3', '4']) await socket.send(n);
  // Each costs 9 bytes: the second takes the credit below 0.
  assert.deepEqual(ws.on(1), [['1'], ['2']]);
  ws.credit(1, 8);
  assert.deepEqual(ws.on(1), [['1'], ['2']]);
  ws.credit(1, 1);
  assert.deepEqual(ws.on(1), [['1'], ['2'], ['3']]);
  ws.credit(1, 100);
  assert.deepEqual(ws.on(1), [['1'], ['2'], ['3'], ['4']]);
});

test('subscriptions wait for credit in order', async () => {
  const { ws, socket } = await connected(Sub, { credit: 1 });
  socket.subscribe('a', 'b');
  socket.unsubscribe('a');
  assert.deepEqual(ws.on(1), [['\x01a']]);
  ws.credit(1, 1000);
  assert.deepEqual(ws.on(1), [['\x01a'], ['\x01b'], ['\0a']]);
});

/** Returns the credit that the client has granted. */
const granted = (ws) => ws.sent.filter(({ op }) => op === 'credit').map(({ size }) => size);

test('grants credit as the application reads, and drops nothing', async () => {
  const { ws, socket, events } = await connected(Pull, { window: 100, options: { receiveHighWaterMark: 1 } });
  for (let i = 0; i < 5; i++) ws.message(1, ['0123456789ab']); // 20 bytes each
  await advance(1000);
  assert.deepEqual([granted(ws), events], [[], [['ready', {}]]], 'the application does not read');
  await socket.receive();
  await socket.receive();
  assert.deepEqual(granted(ws), []);
  await socket.receive();
  assert.deepEqual(granted(ws), [60]);
  ws.message(1, ['0123456789ab'.repeat(10)]); // more than the window
  for (let i = 0; i < 3; i++) await socket.receive();
  assert.deepEqual(granted(ws), [60, 168]);
});

test('grants credit at once for messages that are not kept', async () => {
  for (const Type of [Push, Req]) {
    const { ws } = await connected(Type, { window: 100 });
    for (let i = 0; i < 6; i++) ws.message(1, ['0123456789ab']);
    assert.deepEqual(granted(ws), [60, 60]);
  }
});

test('counts messages unread from before a reconnect', async () => {
  const { ws, socket, opened } = await connected(Pull, { window: 100 });
  ws.message(1, ['0123456789ab'], ['0123456789ab'], ['0123456789ab']);
  ws.lose();
  await advance(250);
  const again = opened[1].ready().opened(1);
  assert.equal(again.sent[1].window, 40);
  await socket.receive();
  await socket.receive();
  assert.deepEqual(granted(again), []);
  await socket.receive();
  assert.deepEqual(granted(again), [60]);
});

test('discards messages that wait for credit when the channel is lost', async () => {
  const { ws, socket, opened } = await connected(Sub, { credit: 0 });
  socket.subscribe('a');
  socket.unsubscribe('a');
  ws.lose();
  await advance(250);
  assert.deepEqual(opened[1].ready().opened(1).on(1), []);
});

test('a message over a limit ends its channel only', async () => {
  for (const [options, just, above] of [
    [{ maxMessageSize: 10 }, ['12345', '12345'], ['12345', '123456']],
    [{ maxFrames: 2 }, ['', ''], ['', '', '']],
  ]) {
    const { ws, socket, muxEvents } = await connected(Pull, { options });
    ws.message(1, just);
    assert.equal((await socket.receive()).length, 2);
    ws.message(1, above);
    await assert.rejects(socket.receive(), { name: 'RefusedError', code: 1009 });
    assert.deepEqual(ws.sent.at(-1), { op: 'close', channel: 1, code: 1009 });
    assert.equal(muxEvents.length, 1);
  }
});
