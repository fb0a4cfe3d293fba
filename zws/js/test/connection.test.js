// One URL: the login, what ends it, and what comes after. The server is the test.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Dealer, RefusedError, Sub, bearer, curve, curveKeyPair, plain } from '../zws.js';
import { COMMAND, LAST, MORE, octets, text } from '../zws/frame.js';
import { metadata, network, record, settle } from './fake.js';

const URL = 'wss://host/devices';
const typed = (type) => metadata([['Socket-Type', type]]);

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1); // the longest of every delay
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

/** A socket that has begun to connect. */
async function begin(options = {}, Type = Sub) {
  const { WebSocket, opened } = network();
  const socket = new Type({ WebSocket, ...options });
  const events = record(socket);
  const ready = socket.connect(URL);
  await settle();
  return { socket, events, opened, ready, ws: opened[0] };
}

/** Lets ms pass, and what follows of it. */
async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('NULL', async () => {
  const { ws, ready, events, socket } = await begin({ routingId: 'me' });
  assert.deepEqual([ws.url, ws.protocols, ws.binaryType], [URL, ['ZWS2.0+NULL'], 'arraybuffer']);
  ws.open();
  assert.equal(text(ws.sent[0].body), '\x05READY\x0bSocket-Type\0\0\0\x03SUB\x07Notices\0\0\0\x011\x08Identity\0\0\0\x02me');
  assert.equal(socket.ready, false);
  ws.tell('READY', typed('XPUB'));
  await ready;
  assert.equal(socket.ready, true);
  assert.deepEqual(events, [['ready', {}]]);
});

test('PLAIN', async () => {
  const { ws, ready } = await begin({ login: plain('ann', 'secret') });
  assert.deepEqual(ws.protocols, ['ZWS2.0+PLAIN']);
  ws.open();
  assert.deepEqual(ws.sent, [{ flag: COMMAND, body: octets('\x05HELLO\x03ann\x06secret') }]);
  ws.tell('WELCOME');
  ws.tell('READY', typed('PUB'));
  await ready;
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE']);
});

test('BEARER, and its renewal', async () => {
  let token = 'one';
  const { ws, ready, events } = await begin({ login: bearer(async () => token) });
  ws.open().tell('WELCOME');
  ws.tell('READY', typed('PUB'));
  await ready;
  ws.tell('EXPIRING', [0, 0, 0, 60]);
  await settle();
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE'], 'the same token is no renewal');
  token = 'two';
  ws.tell('EXPIRING', [0, 0, 0, 30]);
  await settle();
  assert.deepEqual(ws.sent.at(-1), { flag: COMMAND, body: octets('\x05HELLOtwo') });
  ws.tell('WELCOME');
  assert.deepEqual(events, [['ready', {}], ['expiring', { seconds: 60 }], ['expiring', { seconds: 30 }], ['renewed', {}]]);
});

test('tokens that live shortly are not renewed all the time', async () => {
  let n = 0;
  const { ws, ready } = await begin({ login: bearer(() => `token ${n++}`) });
  ws.open().tell('WELCOME');
  ws.tell('READY', typed('PUB'));
  await ready;
  const hellos = () => ws.commands.filter((name) => name === 'HELLO').length - 1;
  for (const [seconds, wait] of [[20, 10_000], [1, 1500]]) {
    const before = hellos();
    ws.tell('EXPIRING', [0, 0, 0, seconds]);
    await settle();
    assert.equal(hellos(), before + 1);
    ws.tell('EXPIRING', [0, 0, 0, seconds]); // of the new one
    await pass(wait - 1);
    assert.equal(hellos(), before + 1);
    await pass(1);
    assert.equal(hellos(), before + 2);
    await pass(1500);
  }
});

test('a newer token that is there only shortly before the end is found', async () => {
  let token = 'one', asked = 0;
  const { ws, ready, events } = await begin({
    login: bearer(async () => {
      asked++;
      if (token) return token;
      throw new Error('the provider is not there');
    }),
  });
  ws.open().tell('WELCOME');
  ws.tell('READY', typed('PUB'));
  await ready;
  const hellos = () => ws.commands.filter((name) => name === 'HELLO').length;
  ws.tell('EXPIRING', [0, 0, 0, 40]);
  await settle();
  await pass(20_000);
  token = undefined;
  await pass(10_000);
  assert.deepEqual([hellos(), asked], [1, 4], 'at the login, with 40, 20 and 10 s to go');
  token = 'two';
  await pass(5_000);
  assert.deepEqual(ws.sent.at(-1), { flag: COMMAND, body: octets('\x05HELLOtwo') });
  ws.tell('WELCOME');
  assert.deepEqual(events.at(-1), ['renewed', {}]);
  ws.tell('EXPIRING', [0, 0, 0, 4]); // and where no newer one comes, the asking ends
  for (let i = 0; i < 60; i++) await pass(1_000);
  assert.ok(asked < 10, `asked ${asked} times`);
});

test('an expired login is renewed by a new token, and by no old one', async () => {
  let token = 'one';
  const { ws, events, opened } = await begin({ login: bearer(() => token) });
  ws.open().tell('WELCOME');
  ws.tell('READY', typed('PUB'));
  token = 'two';
  ws.lose(4401, 'the login has expired');
  await pass(250);
  assert.equal(text(opened[1].open().sent[0].body), '\x05HELLOtwo');
  opened[1].lose(4401, 'the login has expired');
  await pass(60_000);
  assert.equal(opened.length, 2);
  assert.deepEqual(events.at(-1), ['refused', { code: 4401, reason: 'the login has expired, and there is no newer token', status: 0 }]);
});

test('nobody is logged in any more', async () => {
  const { events, opened } = await begin({ login: bearer(() => null) });
  assert.equal(opened.length, 0);
  assert.deepEqual(events, [['refused', { code: 4401, reason: 'there is no token to log in with', status: 0 }]]);
});

test('a token that cannot be had now may be had later', async () => {
  const cause = new Error('offline');
  let fails = true;
  const { events, opened } = await begin({ login: bearer(() => { if (fails) throw cause; return 'one'; }) });
  assert.deepEqual(events, [['disconnect', { code: 1006, reason: 'the credentials could not be had', delay: 250, cause }]]);
  fails = false;
  await pass(250);
  assert.equal(opened.length, 1);
});

test('CURVE keys that are none, or no pair', async () => {
  const [one, other] = [await curveKeyPair(), await curveKeyPair()];
  for (const [keys, reason] of [
    [{ ...one, serverKey: 'short' }, 'serverKey is not a CURVE key: 40 characters of Z85, or 32 octets'],
    [{ publicKey: one.publicKey, secretKey: other.secretKey, serverKey: other.publicKey }, 'secretKey does not belong to publicKey'],
  ]) {
    const { ready } = await begin({ login: curve(keys) });
    await assert.rejects(ready, { name: 'RefusedError', code: 4400, reason });
  }
  const { ready, ws } = await begin({ login: curve({ ...one, serverKey: new Uint8Array(32) }) });
  ws.open();
  await assert.rejects(ready, { code: 1002, reason: 'CURVE: public key of low order' });
});

const FINAL = [1002, 1003, 1009, 4400, 4401, 4403, 4404, 4406, 4500, 4502];
const LATER = [1000, 1001, 1005, 1006, 1011, 4300, 4408, 4429, 4503, 4504, 4508, 3000];

for (const code of FINAL) {
  test(`${code} is final`, async () => {
    const { ws, ready, opened, events, socket } = await begin({ login: plain('ann', 'secret') });
    ws.open().lose(code, 'because');
    await assert.rejects(ready, { name: 'RefusedError', code, reason: 'because', message: `${code} because` });
    assert.deepEqual(events, [['refused', { code, reason: 'because', status: 0 }]]);
    await assert.rejects(socket.receive(), RefusedError);
    await pass(600_000);
    assert.equal(opened.length, 1);
  });
}

for (const code of LATER) {
  test(`after ${code} it is tried again`, async () => {
    const { ws, events, opened } = await begin();
    ws.open().lose(code, 'because');
    const delay = code === 4429 ? 30_000 : 250;
    assert.deepEqual(events, [['disconnect', { code, reason: 'because', delay, cause: undefined }]]);
    await pass(delay - 1);
    assert.equal(opened.length, 1);
    await pass(1);
    assert.equal(opened.length, 2);
  });
}

test('each wait is twice as long, up to a limit, until a connection was steady', async () => {
  const { opened, events } = await begin({ reconnectInterval: 100, reconnectMaxInterval: 1000 });
  for (const delay of [100, 200, 400, 800, 1000, 1000]) {
    opened.at(-1).lose();
    assert.equal(events.at(-1)[1].delay, delay);
    await pass(delay);
  }
  opened.at(-1).login('PUB').lose();
  assert.equal(events.at(-1)[1].delay, 1000, 'it was ready for no time');
  await pass(1000);
  opened.at(-1).login('PUB');
  await pass(10_000);
  opened.at(-1).lose();
  assert.equal(events.at(-1)[1].delay, 100);
});

test('jitter takes up to half', async () => {
  Math.random.mock.mockImplementation(() => 0);
  const { ws, events } = await begin();
  ws.lose();
  assert.equal(events[0][1].delay, 125);
});

test('an ERROR is told with the close frame that follows, or alone', async () => {
  for (const [name, status] of [['ERROR', 400], ['ERROR', 500]]) {
    const { ws, ready } = await begin();
    ws.open().tell(name, octets(`\x03${status}`));
    ws.lose(4502, 'backend 1 refused the login (400)');
    await assert.rejects(ready, { code: 4502, status, reason: 'backend 1 refused the login (400)' });
  }
  const { ws, ready } = await begin({ login: plain('a', 'b') });
  ws.open().deliver(COMMAND, octets('^RROR\x03400')); // libzmq, which does not close
  await pass(999);
  assert.equal(ws.closedWith, undefined);
  await pass(1);
  assert.equal(ws.closedWith, 1000);
  await assert.rejects(ready, { code: 4400, status: 400, reason: 'the server answered 400' });
});

test('ERROR 300 is not final', async () => {
  const { ws, events } = await begin();
  ws.open().tell('ERROR', octets('\x03300'));
  ws.lose();
  assert.deepEqual(events[0][1].code, 4300);
});

test('another subprotocol than was offered', async () => {
  for (const protocol of ['', 'ZWS2.0', 'ZWS2.0+PLAIN']) {
    const { ws, ready } = await begin();
    ws.open(protocol);
    assert.deepEqual(ws.sent, []);
    await assert.rejects(ready, { code: 4406, reason: 'the server does not speak ZWS2.0+NULL' });
    assert.equal(ws.closedWith, 1000);
  }
});

test('a socket type that does not fit', async () => {
  const { ws, ready } = await begin();
  ws.login('ROUTER');
  await assert.rejects(ready, { code: 4406, reason: "a SUB socket cannot talk to the server's ROUTER" });
  const untyped = await begin();
  untyped.ws.open().tell('READY');
  await untyped.ready;
});

// Each is one defect of a server in the login, with the code that it gets.
const DEFECTS = {
  'a message before READY': [(ws) => ws.deliver(LAST, octets('early')), 1002],
  'a command that is not due': [(ws) => ws.tell('WELCOME'), 1002],
  'a command without a name': [(ws) => ws.deliver(COMMAND, octets('')), 1002],
  'malformed metadata': [(ws) => ws.tell('READY', [1, 2]), 1002],
  'a malformed ERROR': [(ws) => ws.tell('ERROR', octets('400')), 1002],
  'an unknown flag': [(ws) => ws.deliver(4, octets('')), 1002],
  'an empty message': [(ws) => ws.onmessage({ data: new ArrayBuffer(0) }), 1002],
  'text': [(ws) => ws.onmessage({ data: 'READY' }), 1003],
  'a command that is too long': [(ws) => ws.tell('READY', new Uint8Array(16 << 10)), 1009],
};

for (const [name, [defect, code]] of Object.entries(DEFECTS)) {
  test(`refuses ${name}`, async () => {
    const good = await begin(), { ws, ready, opened } = await begin();
    defect(ws.open());
    await assert.rejects(ready, { name: 'RefusedError', code });
    assert.equal(ws.closedWith, 1000);
    good.ws.login('PUB');
    await good.ready;
    await pass(600_000);
    assert.equal(opened.length, 1);
  });
}

test('limits of messages, just below and above', async () => {
  for (const [octetsSent, ok] of [[10, true], [11, false]]) {
    const { ws, socket } = await begin({ maxMessageSize: 10 });
    const received = socket.receive();
    ws.login('PUB').deliver(MORE, new Uint8Array(5));
    ws.deliver(LAST, new Uint8Array(octetsSent - 5));
    if (ok) assert.equal((await received).length, 2);
    else await assert.rejects(received, { code: 1009, reason: 'a message of more than 10 octets' });
  }
  for (const [frames, ok] of [[3, true], [4, false]]) {
    const { ws, socket } = await begin({ maxFrames: 3 });
    const received = socket.receive();
    ws.login('PUB').message(...Array(frames).fill(''));
    if (ok) assert.equal((await received).length, 3);
    else await assert.rejects(received, { code: 1009, reason: 'a message of more than 3 frames' });
  }
});

test('a command inside a message', async () => {
  const { ws, socket } = await begin();
  const received = socket.receive();
  ws.login('PUB').deliver(MORE, octets('a'));
  ws.tell('LOST', new Uint8Array(8));
  await assert.rejects(received, { code: 1002, reason: 'a command inside a message' });
});

test('unknown commands are ignored, notices are told', async () => {
  const { ws, events } = await begin();
  ws.login('PUB').tell('PING', [0, 0]);
  ws.tell('LOST', [0, 0, 0, 0, 0, 0, 1, 2]);
  assert.deepEqual(events, [['ready', {}], ['lost', { count: 258 }]]);
});

test('half a message is forgotten with its connection', async () => {
  const { ws, socket, opened } = await begin();
  ws.login('PUB').deliver(MORE, octets('half'));
  ws.lose();
  await pass(250);
  opened[1].login('PUB').message('whole');
  assert.deepEqual((await socket.receive()).map(String), ['whole']);
});

test('a login that does not end in time', async () => {
  const { ws, events } = await begin({ handshakeTimeout: 5000 });
  ws.open();
  await pass(4999);
  assert.deepEqual(events, []);
  await pass(1);
  assert.equal(ws.closedWith, 1000);
  assert.deepEqual(events[0][1].reason, 'the login did not end in time');
  ws.tell('READY', typed('PUB')); // late, and without effect
  ws.lose(4400);
  assert.equal(events.length, 1);
});

test('a page that may not connect there', async () => {
  const { WebSocket } = network();
  await assert.rejects(new Dealer({ WebSocket }).connect('ws://forbidden/'), { code: 4403 });
});

test('closed while it connects, waits, or asks for a token', async () => {
  const connecting = await begin();
  connecting.socket.close();
  assert.equal(connecting.ws.closedWith, 1000);
  await assert.rejects(connecting.ready, { code: 'ECLOSED' });

  const waiting = await begin();
  waiting.ws.lose();
  waiting.socket.close();
  await pass(60_000);
  assert.equal(waiting.opened.length, 1);

  let give;
  const asking = await begin({ login: bearer(() => new Promise((resolve) => { give = resolve; })) });
  asking.socket.close();
  give('late');
  await pass(60_000);
  assert.equal(asking.opened.length, 0);
  assert.deepEqual(asking.events, []);
});

test('a relay tells the version of the peer behind it', async () => {
  const { ws, ready, events, socket, opened } = await begin({ login: plain('ann', 'secret') });
  ws.open().tell('GREETING', [1]);
  ws.tell('WELCOME');
  ws.tell('READY', typed('XPUB'));
  await ready;
  socket.subscribe('a');
  socket.unsubscribe('a');
  ws.tell('PING', [0, 100], octets('context'));
  assert.deepEqual(ws.commands, ['HELLO', 'INITIATE', 'SUBSCRIBE', 'CANCEL', 'PONG']);
  assert.deepEqual(ws.sent.slice(-3).map(({ body }) => text(body)), ['\x09SUBSCRIBEa', '\x06CANCELa', '\x04PONGcontext']);
  assert.deepEqual(ws.messages, []);
  socket.subscribe('b');
  ws.lose(4503, 'backend 1 was lost: log in there again');
  await pass(250);
  opened[1].open().tell('GREETING', [0]); // another peer at the same place
  opened[1].tell('WELCOME');
  opened[1].tell('READY', typed('PUB'));
  opened[1].tell('PING', [0, 100]);
  assert.deepEqual(opened[1].commands, ['HELLO', 'INITIATE', 'PONG']);
  assert.deepEqual(opened[1].messages, [['\x01b']]);
  assert.deepEqual(events.filter(([name]) => name !== 'disconnect'), [['ready', { zmtp: '3.1' }], ['recovered', { zmtp: '3.0' }]]);
});

for (const [name, ...commands] of [
  ['twice', 'GREETING', 'GREETING'],
  ['late', 'WELCOME', 'GREETING'],
]) {
  test(`a relay that tells it ${name}`, async () => {
    const { ws, events } = await begin({ login: plain('ann', 'secret') });
    ws.open();
    for (const command of commands) ws.tell(command, command === 'GREETING' ? [1] : []);
    assert.deepEqual(events, [['refused', { code: 1002, reason: events[0][1].reason, status: 0 }]]);
  });
}

test('without a relay no PING is answered', async () => {
  const { ws, ready } = await begin();
  ws.login('PUB').tell('PING', [0, 100]);
  await ready;
  assert.deepEqual(ws.commands, ['READY']);
});
