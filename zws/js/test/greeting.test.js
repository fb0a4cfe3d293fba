// A relay without a Mux, which begins with GREETING. The test plays the server and the backend.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { plain } from '../zws.js';
import { toBytes, toText } from '../zws/frame.js';
import { begin, metadata, settle } from './fake.js';

const typed = (type) => metadata([['Socket-Type', type]]);

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

test('a relay reports the ZMTP version of the backend', async () => {
  const { ws, ready, events, socket, opened } = await begin({ login: plain('ann', 'secret') });
  ws.open().command('GREETING', [1]);
  ws.command('WELCOME');
  ws.command('READY', typed('XPUB'));
  await ready;
  socket.subscribe('a');
  socket.unsubscribe('a');
  ws.command('PING', [0, 100], toBytes('context'));
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE', 'SUBSCRIBE', 'CANCEL', 'PONG']);
  assert.deepEqual(ws.sent.slice(-3).map(({ body }) => toText(body)), ['\x09SUBSCRIBEa', '\x06CANCELa', '\x04PONGcontext']);
  assert.deepEqual(ws.messages, []);
  socket.subscribe('b');
  ws.lose(4503, 'backend 1 was lost');
  await advance(250);
  opened[1].open().command('GREETING', [0]); // another peer at the same endpoint
  opened[1].command('WELCOME');
  opened[1].command('READY', typed('PUB'));
  opened[1].command('PING', [0, 100]);
  assert.deepEqual(opened[1].commands, ['HELLO', 'INITIATE', 'PONG']);
  assert.deepEqual(opened[1].messages, [['\x01b']]);
  assert.deepEqual(events.filter(([name]) => name !== 'disconnect'), [['ready', { zmtp: '3.1' }], ['recovered', { zmtp: '3.0' }]]);
});

for (const [name, ...commands] of [
  ['twice', 'GREETING', 'GREETING'],
  ['after WELCOME', 'WELCOME', 'GREETING'],
]) {
  test(`refuses GREETING ${name}`, async () => {
    const { ws, events } = await begin({ login: plain('ann', 'secret') });
    ws.open();
    for (const command of commands) ws.command(command, command === 'GREETING' ? [1] : []);
    assert.deepEqual(events, [['refused', { code: 1002, reason: events[0][1].reason, status: 0 }]]);
  });
}

test('does not answer PING without a relay', async () => {
  const { ws, ready } = await begin();
  ws.login('PUB').command('PING', [0, 100]);
  await ready;
  assert.deepEqual(ws.commands, ['READY']);
});
