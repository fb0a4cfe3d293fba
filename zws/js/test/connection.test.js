// One connection: the login and the faults of a server. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { ClosedError, Dealer, RefusedError, SocketError, bearer, curve, curveKeyPair, plain } from '../zws.js';
import { COMMAND, LAST, MORE, toBytes, toText } from '../zws/frame.js';
import { URL, begin, metadata, network, settle } from './fake.js';

const typed = (type) => metadata([['Socket-Type', type]]);

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1); // always the longest delay
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

/** Advances the clock by ms and runs what that triggers. */
async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('NULL', async () => {
  const { ws, ready, events, socket } = await begin({ routingId: 'me' });
  assert.deepEqual([ws.url, ws.protocols, ws.binaryType], [URL, ['ZWSMUX1.0', 'ZWS2.0+NULL'], 'arraybuffer']);
  ws.open();
  assert.equal(toText(ws.sent[0].body), '\x05READY\x0bSocket-Type\0\0\0\x03SUB\x07Notices\0\0\0\x011\x08Identity\0\0\0\x02me');
  assert.equal(socket.ready, false);
  ws.command('READY', typed('XPUB'));
  await ready;
  assert.equal(socket.ready, true);
  assert.deepEqual(events, [['ready', {}]]);
});

test('PLAIN', async () => {
  const { ws, ready } = await begin({ login: plain('ann', 'secret') });
  assert.deepEqual(ws.protocols, ['ZWSMUX1.0', 'ZWS2.0+PLAIN']);
  ws.open();
  assert.deepEqual(ws.sent, [{ flag: COMMAND, body: toBytes('\x05HELLO\x03ann\x06secret') }]);
  ws.command('WELCOME');
  ws.command('READY', typed('PUB'));
  await ready;
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE']);
});

test('BEARER, and its renewal', async () => {
  let token = 'one';
  const { ws, ready, events } = await begin({ login: bearer(async () => token) });
  ws.open().command('WELCOME');
  ws.command('READY', typed('PUB'));
  await ready;
  ws.command('EXPIRING', [0, 0, 0, 60]);
  await settle();
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE'], 'the same token does not renew the login');
  token = 'two';
  ws.command('EXPIRING', [0, 0, 0, 30]);
  await settle();
  assert.deepEqual(ws.sent.at(-1), { flag: COMMAND, body: toBytes('\x05HELLOtwo') });
  ws.command('WELCOME');
  assert.deepEqual(events, [['ready', {}], ['expiring', { seconds: 60 }], ['expiring', { seconds: 30 }], ['renewed', {}]]);
});

test('renews short-lived tokens at a limited rate', async () => {
  let n = 0;
  const { ws, ready } = await begin({ login: bearer(() => `token ${n++}`) });
  ws.open().command('WELCOME');
  ws.command('READY', typed('PUB'));
  await ready;
  const hellos = () => ws.commands.filter((name) => name === 'HELLO').length - 1;
  for (const [seconds, wait] of [[20, 10_000], [1, 1500]]) {
    const before = hellos();
    ws.command('EXPIRING', [0, 0, 0, seconds]);
    await settle();
    assert.equal(hellos(), before + 1);
    ws.command('EXPIRING', [0, 0, 0, seconds]); // for the new token
    await advance(wait - 1);
    assert.equal(hellos(), before + 1);
    await advance(1);
    assert.equal(hellos(), before + 2);
    await advance(1500);
  }
});

test('finds a newer token that appears shortly before the login expires', async () => {
  let token = 'one', asked = 0;
  const { ws, ready, events } = await begin({
    login: bearer(async () => {
      asked++;
      if (token) return token;
      throw new Error('the provider is unavailable');
    }),
  });
  ws.open().command('WELCOME');
  ws.command('READY', typed('PUB'));
  await ready;
  const hellos = () => ws.commands.filter((name) => name === 'HELLO').length;
  ws.command('EXPIRING', [0, 0, 0, 40]);
  await settle();
  await advance(20_000);
  token = undefined;
  await advance(10_000);
  assert.deepEqual([hellos(), asked], [1, 4], 'asked at the login and 40, 20 and 10 s before it expires');
  token = 'two';
  await advance(5_000);
  assert.deepEqual(ws.sent.at(-1), { flag: COMMAND, body: toBytes('\x05HELLOtwo') });
  ws.command('WELCOME');
  assert.deepEqual(events.at(-1), ['renewed', {}]);
  ws.command('EXPIRING', [0, 0, 0, 4]); // without a newer token the requests end
  for (let i = 0; i < 60; i++) await advance(1_000);
  assert.ok(asked < 10, `asked ${asked} times`);
});

test('logs in again after expiry with a new token only', async () => {
  let token = 'one';
  const { ws, events, opened } = await begin({ login: bearer(() => token) });
  ws.open().command('WELCOME');
  ws.command('READY', typed('PUB'));
  token = 'two';
  ws.lose(4401, 'the login has expired');
  await advance(250);
  assert.equal(toText(opened[1].open().sent[0].body), '\x05HELLOtwo');
  opened[1].lose(4401, 'the login has expired');
  await advance(60_000);
  assert.equal(opened.length, 2);
  assert.deepEqual(events.at(-1), ['refused', { code: 4401, reason: 'the login has expired and no newer token is available', status: 0 }]);
});

test('an empty token is a refusal', async () => {
  const { events, opened } = await begin({ login: bearer(() => null) });
  assert.equal(opened.length, 0);
  assert.deepEqual(events, [['refused', { code: 4401, reason: 'no token to log in with', status: 0 }]]);
});

test('tries again after the token function has failed', async () => {
  const cause = new Error('offline');
  for (const thrown of [cause, null, undefined, 'offline']) { // a page can throw anything
    let fails = true;
    const { events, opened } = await begin({ login: bearer(() => { if (fails) throw thrown; return 'one'; }) });
    assert.deepEqual(events, [['disconnect', { code: 1006, reason: 'the credentials are not available', delay: 250, cause: thrown }]]);
    fails = false;
    await advance(250);
    assert.equal(opened.length, 1);
  }
});

test('invalid CURVE keys, and keys that are not a pair', async () => {
  const [one, other] = [await curveKeyPair(), await curveKeyPair()];
  for (const [keys, reason] of [
    [{ ...one, serverKey: 'short' }, 'serverKey is not a CURVE key: want 40 characters of Z85 or 32 bytes'],
    [{ publicKey: one.publicKey, secretKey: other.secretKey, serverKey: other.publicKey }, 'secretKey does not belong to publicKey'],
  ]) {
    const { ready } = await begin({ login: curve(keys) });
    await assert.rejects(ready, { name: 'RefusedError', code: 4400, reason });
  }
  const { ready, ws } = await begin({ login: curve({ ...one, serverKey: new Uint8Array(32) }) });
  ws.open();
  await assert.rejects(ready, { code: 1002, reason: 'CURVE: public key of low order' });
});

test('reports ERROR with the close frame that follows, or without one', async () => {
  for (const [name, status] of [['ERROR', 400], ['ERROR', 500]]) {
    const { ws, ready } = await begin();
    ws.open().command(name, toBytes(`\x03${status}`));
    ws.lose(4502, 'backend 1 refused the login (400)');
    await assert.rejects(ready, { code: 4502, status, reason: 'backend 1 refused the login (400)' });
  }
  const { ws, ready } = await begin({ login: plain('a', 'b') });
  ws.open().deliver(COMMAND, toBytes('^RROR\x03400')); // as libzmq, which does not close
  await advance(999);
  assert.equal(ws.closedWith, undefined);
  await advance(1);
  assert.equal(ws.closedWith, 1000);
  await assert.rejects(ready, { code: 4400, status: 400, reason: 'the server answered ERROR 400' });
});

test('ERROR 300 is not final', async () => {
  const { ws, events } = await begin();
  ws.open().command('ERROR', toBytes('\x03300'));
  ws.lose();
  assert.deepEqual(events[0][1].code, 4300);
});

test('refuses a subprotocol that was not offered', async () => {
  for (const protocol of ['', 'ZWS2.0', 'ZWS2.0+PLAIN']) {
    const { ws, ready } = await begin();
    ws.open(protocol);
    assert.deepEqual(ws.sent, []);
    await assert.rejects(ready, { code: 4406, reason: 'the server does not support ZWS2.0+NULL' });
    assert.equal(ws.closedWith, 1000);
  }
});

test('refuses a socket type that does not match', async () => {
  const { ws, ready } = await begin();
  ws.login('ROUTER');
  await assert.rejects(ready, { code: 4406, reason: 'socket type ROUTER of the server does not match SUB: want PUB or XPUB' });
  const untyped = await begin();
  untyped.ws.open().command('READY');
  await untyped.ready;
});

// Each entry is a fault of the server during the login, with the code that reports it.
const DEFECTS = {
  'a message before READY': [(ws) => ws.deliver(LAST, toBytes('early')), 1002],
  'an unexpected command': [(ws) => ws.command('WELCOME'), 1002],
  'a command without a name': [(ws) => ws.deliver(COMMAND, toBytes('')), 1002],
  'malformed metadata': [(ws) => ws.command('READY', [1, 2]), 1002],
  'a malformed ERROR': [(ws) => ws.command('ERROR', toBytes('400')), 1002],
  'an unknown flag': [(ws) => ws.deliver(4, toBytes('')), 1002],
  'an empty message': [(ws) => ws.onmessage({ data: new ArrayBuffer(0) }), 1002],
  'text': [(ws) => ws.onmessage({ data: 'READY' }), 1003],
  'a command that is too long': [(ws) => ws.command('READY', new Uint8Array(16 << 10)), 1009],
};

for (const [name, [defect, code]] of Object.entries(DEFECTS)) {
  test(`refuses ${name}`, async () => {
    const good = await begin(), { ws, ready, opened } = await begin();
    defect(ws.open());
    await assert.rejects(ready, { name: 'RefusedError', code });
    assert.equal(ws.closedWith, 1000);
    good.ws.login('PUB');
    await good.ready;
    await advance(600_000);
    assert.equal(opened.length, 1);
  });
}

test('enforces the limits of messages exactly', async () => {
  for (const [size, ok] of [[10, true], [11, false]]) {
    const { ws, socket } = await begin({ maxMessageSize: 10 });
    const received = socket.receive();
    ws.login('PUB').deliver(MORE, new Uint8Array(5));
    ws.deliver(LAST, new Uint8Array(size - 5));
    if (ok) assert.equal((await received).length, 2);
    else await assert.rejects(received, { code: 1009, reason: 'message too large: want at most 10 bytes' });
  }
  for (const [frames, ok] of [[3, true], [4, false]]) {
    const { ws, socket } = await begin({ maxFrames: 3 });
    const received = socket.receive();
    ws.login('PUB').message(...Array(frames).fill(''));
    if (ok) assert.equal((await received).length, 3);
    else await assert.rejects(received, { code: 1009, reason: 'message too large: want at most 3 frames' });
  }
});

test('refuses a command inside a message', async () => {
  const { ws, socket } = await begin();
  const received = socket.receive();
  ws.login('PUB').deliver(MORE, toBytes('a'));
  ws.command('LOST', new Uint8Array(8));
  await assert.rejects(received, { code: 1002, reason: 'command inside a message' });
});

test('ignores unknown commands and reports notifications', async () => {
  const { ws, events } = await begin();
  ws.login('PUB').command('PING', [0, 0]);
  ws.command('LOST', [0, 0, 0, 0, 0, 0, 1, 2]);
  assert.deepEqual(events, [['ready', {}], ['lost', { count: 258 }]]);
});

test('discards half a message when the connection is lost', async () => {
  const { ws, socket, opened } = await begin();
  ws.login('PUB').deliver(MORE, toBytes('half'));
  ws.lose();
  await advance(250);
  opened[1].login('PUB').message('whole');
  assert.deepEqual((await socket.receive()).map(String), ['whole']);
});

test('a login that takes too long', async () => {
  const { ws, events } = await begin({ handshakeTimeout: 5000 });
  ws.open();
  await advance(4999);
  assert.deepEqual(events, []);
  await advance(1);
  assert.equal(ws.closedWith, 1000);
  assert.deepEqual(events[0][1].reason, 'the login took longer than 5000 ms');
  ws.command('READY', typed('PUB')); // too late: ignored
  ws.lose(4400);
  assert.equal(events.length, 1);
});

test('a URL to which the browser does not let the page connect', async () => {
  const { WebSocket } = network();
  await assert.rejects(new Dealer({ WebSocket }).connect('ws://forbidden/'), { code: 4403 });
});

test('close while connecting, waiting, or getting a token', async () => {
  const connecting = await begin();
  connecting.socket.close();
  assert.equal(connecting.ws.closedWith, 1000);
  await assert.rejects(connecting.ready, ClosedError);
  await assert.rejects(connecting.ready, (error) => error instanceof SocketError && error.name === 'ClosedError' && error.code === 'ECLOSED');

  const waiting = await begin();
  waiting.ws.lose();
  waiting.socket.close();
  await advance(60_000);
  assert.equal(waiting.opened.length, 1);

  let give;
  const asking = await begin({ login: bearer(() => new Promise((resolve) => { give = resolve; })) });
  asking.socket.close();
  give('too late');
  await advance(60_000);
  assert.equal(asking.opened.length, 0);
  assert.deepEqual(asking.events, []);
});
