// The socket types, with several URLs. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import * as zws from '../zws.js';
import { Dealer, Pair, Pull, Push, Req, Sub, XSub, plain } from '../zws.js';
import { Mux } from '../zws/mux.js';
import { COMMAND, LAST, toBytes, toText } from '../zws/frame.js';
import { network, record, settle } from './fake.js';

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

/** Returns a socket with a ready connection to a server of each type. */
async function connected(Type, peers, options = {}) {
  const { WebSocket, opened } = network();
  const socket = new Type({ WebSocket, reconnectInterval: 1, ...options });
  const events = record(socket);
  const ready = peers.map((_, i) => socket.connect(`ws://host/${i}`));
  await settle();
  peers.forEach((peer, i) => opened[i].login(peer));
  await Promise.all(ready);
  return { socket, events, opened };
}

async function again(opened, peer) {
  mock.timers.tick(60_000);
  await settle();
  return opened.at(-1).login(peer);
}

const strings = (message) => message.map(String);

test('URLs', async () => {
  const { WebSocket, opened } = network();
  const socket = new Sub({ WebSocket });
  for (const wrong of ['', '/relative', 'ftp://host/', 'not a url']) assert.throws(() => socket.connect(wrong), TypeError);
  socket.connect('https://host/a?x#part');
  assert.throws(() => socket.connect('wss://host/a?x'), { code: 'EINUSE' });
  globalThis.location = { href: 'http://page:8080/portal/' };
  socket.connect('/devices');
  delete globalThis.location;
  await settle();
  assert.deepEqual(opened.map(({ url }) => url), ['wss://host/a?x', 'ws://page:8080/devices']);
  socket.disconnect('https://host/a?x');
  assert.deepEqual(opened.map(({ closedWith }) => closedWith), [1000, undefined]);
  socket.close();
  assert.throws(() => socket.connect('ws://host/'), { code: 'ECLOSED' });
});

test('options', () => {
  assert.throws(() => new Sub({ WebSocket: null }), /WebSocket/);
  assert.throws(() => new Sub({ hwm: 1 }), /hwm/);
  const { WebSocket } = network();
  new Sub({ WebSocket, routingId: 'x'.repeat(255) });
  assert.throws(() => new Sub({ WebSocket, routingId: 'x'.repeat(256) }), RangeError);
  const socket = new Sub({ WebSocket, login: undefined, maxFrames: undefined }); // the defaults apply
  socket.connect('ws://host/');
  // Otherwise the socket would retry without end.
  for (const login of ['a token', { user: 'ann', password: 'geheim' }, null]) {
    assert.throws(() => socket.connect('ws://host/a', { login }), /plain, bearer or curve/);
    assert.throws(() => new Sub({ WebSocket, login }).connect('ws://host/a'), TypeError);
  }
  assert.equal(JSON.stringify(new Sub({ WebSocket, login: plain('ann', 'geheim') })).includes('geheim'), false);
});

test('Sub: sends each subscription once, and again after a reconnect', async () => {
  const { socket, opened, events } = await connected(Sub, ['PUB', 'XPUB']);
  socket.subscribe('a', 'b');
  socket.subscribe('a');
  socket.unsubscribe('a');
  socket.unsubscribe('b', 'never');
  socket.subscribe();
  const want = [['\x01a'], ['\x01b'], ['\0b'], ['\x01']];
  assert.deepEqual(opened[0].messages, want);
  assert.deepEqual(opened[1].messages, want);
  opened[0].lose();
  assert.deepEqual((await again(opened, 'PUB')).messages, [['\x01a'], ['\x01']]);
  assert.deepEqual(events.at(-1), ['recovered', {}]);
});

test('Sub: sends a removed subscription again only when the page subscribes again', async () => {
  const { socket, opened, events } = await connected(Sub, ['PUB', 'PUB']);
  socket.subscribe('a', 'b', '');
  opened[0].command('UNSUBSCRIBED', toBytes('a'));
  opened[0].command('UNSUBSCRIBED');
  opened[0].command('UNSUBSCRIBED', toBytes('never'));
  assert.deepEqual(events.slice(-3).map(([name, { topic }]) => [name, topic.toString()]),
    [['unsubscribed', 'a'], ['unsubscribed', ''], ['unsubscribed', 'never']]);
  assert.ok(events.at(-1)[1].topic instanceof Uint8Array);
  opened[0].message('b', 'still');
  assert.deepEqual(strings(await socket.receive()), ['b', 'still']);
  opened[0].lose();
  const first = await again(opened, 'PUB');
  assert.deepEqual(first.messages, [['\x01b']]);
  opened[1].lose();
  assert.deepEqual((await again(opened, 'PUB')).messages, [['\x01a'], ['\x01b'], ['\x01']], 'the other server has removed nothing');
  socket.unsubscribe('never');
  socket.subscribe('b');
  assert.deepEqual(first.messages, [['\x01b']]);
  socket.subscribe('a');
  socket.subscribe('a');
  assert.deepEqual(first.messages, [['\x01b'], ['\x01a']]);
  assert.equal(opened.at(-1).messages.length, 3, 'the other server still has it');
  first.lose();
  assert.deepEqual((await again(opened, 'PUB')).messages, [['\x01a'], ['\x01b']]);
});

test('Sub: a removed subscription that the page ended is new when it subscribes again', async () => {
  const { socket, opened } = await connected(Sub, ['PUB']);
  socket.subscribe('a', 'a');
  opened[0].command('UNSUBSCRIBED', toBytes('a'));
  socket.unsubscribe('a'); // one subscription is left
  opened[0].lose();
  const ws = await again(opened, 'PUB');
  assert.deepEqual(ws.messages, []);
  socket.unsubscribe('a');
  ws.lose();
  const next = await again(opened, 'PUB');
  socket.subscribe('a');
  assert.deepEqual(next.messages, [['\x01a']]);
});

test('Sub: for await reads several URLs round-robin', async () => {
  const { socket, opened } = await connected(Sub, ['PUB', 'PUB']);
  for (const value of ['1', '2', '3']) opened[0].message('a', value);
  opened[1].message('b', '1');
  const got = [];
  for await (const [topic, value] of socket) {
    got.push(`${topic}${value}`);
    if (got.length === 4) break;
  }
  assert.deepEqual(got, ['a1', 'b1', 'a2', 'a3']);
  assert.equal(socket.closed, false);
});

test('for await ends after close and throws after a refusal', async () => {
  for (const refused of [false, true]) {
    const { socket, opened } = await connected(Sub, ['PUB']);
    opened[0].message('last');
    const got = [];
    const reading = (async () => {
      for await (const message of socket) got.push(strings(message));
    })();
    await settle();
    if (refused) opened[0].lose(4403, 'not yours');
    else socket.close();
    if (refused) await assert.rejects(reading, { name: 'RefusedError', code: 4403 });
    else await reading;
    assert.deepEqual(got, [['last']]);
  }
});

test('messages received before a refusal are read first', async () => {
  const { socket, opened } = await connected(Pull, ['PUSH']);
  opened[0].message('1');
  opened[0].lose(4401, 'expired');
  assert.deepEqual(strings(await socket.receive()), ['1']);
  await assert.rejects(socket.receive(), { code: 4401 });
});

test('a URL that refuses leaves the others alone', async () => {
  const { socket, opened, events } = await connected(Pull, ['PUSH', 'PUSH']);
  opened[0].lose(4502, 'backend 1 refused the login (400)');
  opened[1].message('still');
  assert.deepEqual(strings(await socket.receive()), ['still']);
  assert.equal(events.at(-1)[0], 'refused');
  assert.equal(socket.ready, true);
});

test('connects again to a URL that refused, with other credentials', async () => {
  const { socket, opened } = await connected(Pull, ['PUSH']);
  opened[0].lose(4401, 'kicked');
  await assert.rejects(socket.receive(), { code: 4401 });
  const ready = socket.connect('ws://host/0', { login: plain('ann', 'new') });
  await settle();
  assert.deepEqual(opened[1].protocols, ['ZWSMUX1.0', 'ZWS2.0+PLAIN']);
  opened[1].open().command('WELCOME');
  opened[1].command('READY');
  await ready;
  opened[1].message('back');
  assert.deepEqual(strings(await socket.receive()), ['back']);
});

test('a slow reader loses the oldest messages and gets an event', async () => {
  const { socket, opened, events } = await connected(Pull, ['PUSH'], { receiveHighWaterMark: 2 });
  for (const value of ['1', '2', '3', '4', '5']) opened[0].message(value);
  mock.timers.tick(0);
  assert.deepEqual(events.at(-1), ['lost', { count: 3 }]);
  assert.deepEqual([strings(await socket.receive()), strings(await socket.receive())], [['4'], ['5']]);
  opened[0].message('6');
  assert.deepEqual(strings(await socket.receive()), ['6']);
});

test('one receive at a time', async () => {
  const { socket, opened } = await connected(Pull, ['PUSH']);
  const first = socket.receive();
  await assert.rejects(socket.receive(), { code: 'EBUSY' });
  opened[0].message('x');
  assert.deepEqual(strings(await first), ['x']);
});

test('Push and Dealer send round-robin over writable connections', async () => {
  for (const [Type, peer] of [[Push, 'PULL'], [Dealer, 'ROUTER']]) {
    const { socket, opened } = await connected(Type, [peer, peer, peer]);
    for (let i = 0; i < 6; i++) await socket.send([`${i}`, new Uint8Array([65])]);
    assert.deepEqual(opened.map((ws) => ws.messages.map(([n]) => n)), [['0', '3'], ['1', '4'], ['2', '5']]);
    opened[1].lose();
    opened[2].bufferedAmount = 1 << 20; // its buffer is full
    for (const n of ['6', '7']) await socket.send(n);
    assert.deepEqual(opened[0].messages.slice(2), [['6'], ['7']]);
  }
});

test('messages wait for the first ready connection', async () => {
  const { WebSocket, opened } = network();
  const socket = new Push({ WebSocket });
  await socket.send('early');
  socket.connect('ws://host/');
  await settle();
  assert.deepEqual(opened[0].messages, []);
  assert.deepEqual(opened[0].login('PULL').messages, [['early']]);
});

test('sends the rest when the buffer of the WebSocket has room', async () => {
  const { socket, opened } = await connected(Push, ['PULL']);
  opened[0].bufferedAmount = 1 << 20;
  await socket.send('later');
  mock.timers.tick(10);
  assert.deepEqual(opened[0].messages, []);
  opened[0].bufferedAmount = (1 << 20) - 1;
  mock.timers.tick(10);
  assert.deepEqual(opened[0].messages, [['later']]);
});

test('send waits for room in a full queue, or rejects', async () => {
  const { WebSocket, opened } = network();
  const socket = new Push({ WebSocket, sendHighWaterMark: 2 });
  socket.connect('ws://host/');
  await settle();
  await socket.send('1');
  await socket.send('2');
  let done = false;
  const waiting = socket.send('3').then(() => { done = true; });
  await settle();
  assert.equal(done, false);
  await assert.rejects(socket.send('4'), { code: 'EBUSY' });
  opened[0].login('PULL');
  await waiting;
  assert.deepEqual(opened[0].messages, [['1'], ['2'], ['3']]);

  for (const sendTimeout of [0, 50]) {
    const limited = new Push({ WebSocket, sendHighWaterMark: 1, sendTimeout });
    await limited.send('1');
    const rejected = assert.rejects(limited.send('2'), { code: 'EAGAIN' });
    await settle();
    mock.timers.tick(sendTimeout);
    await rejected;
  }
});

test('the send queue is limited in bytes', async () => {
  const { WebSocket } = network();
  const socket = new Push({ WebSocket, sendHighWaterBytes: 10, sendTimeout: 0 });
  await socket.send('x'.repeat(20)); // an empty queue takes any size
  await assert.rejects(socket.send(''), { code: 'EAGAIN' });
  const other = new Push({ WebSocket, sendHighWaterBytes: 10, sendTimeout: 0 });
  await other.send('x'.repeat(5));
  await assert.rejects(other.send('x'.repeat(6)), { code: 'EAGAIN' });
  await other.send('x'.repeat(5));
});

test('a refusal rejects a send that waits', async () => {
  const { WebSocket, opened } = network();
  const socket = new Push({ WebSocket, sendHighWaterMark: 1 });
  socket.connect('ws://host/');
  await settle();
  await socket.send('1');
  const waiting = socket.send('2');
  opened[0].open().lose(4400, 'login refused');
  await assert.rejects(waiting, { code: 4400 });
  await assert.rejects(socket.send('3'), { code: 4400 });
});

test('send refuses invalid messages', async () => {
  const { socket, opened } = await connected(Push, ['PULL'], { maxMessageSize: 10, maxFrames: 2 });
  for (const wrong of [[], ['a', 'b', 'c'], 'x'.repeat(11)]) await assert.rejects(socket.send(wrong), RangeError);
  for (const wrong of [undefined, 1, [['a']]]) await assert.rejects(socket.send(wrong), TypeError);
  await socket.send(['x'.repeat(5), 'x'.repeat(5)]);
  assert.equal(opened[0].messages.length, 1);
});

test('Req: one request at a time, with delimiter, and only its reply', async () => {
  const { socket, opened } = await connected(Req, ['ROUTER', 'REP']);
  await assert.rejects(socket.receive(), { code: 'EFSM' });
  await socket.send(['target', '22']);
  assert.deepEqual(opened[0].messages, [['', 'target', '22']]);
  await assert.rejects(socket.send('again'), { code: 'EFSM' });
  const reply = socket.receive();
  opened[1].message('', 'from elsewhere');
  opened[0].message('no delimiter', 'x');
  opened[0].message('', 'ok');
  opened[0].message('', 'twice');
  assert.deepEqual(strings(await reply), ['ok']);
  await assert.rejects(socket.receive(), { code: 'EFSM' });
  await socket.send('next');
  assert.deepEqual(opened[1].messages, [['', 'next']]);
  opened[1].message('', 'read later');
  assert.deepEqual(strings(await socket.receive()), ['read later']);
});

test('Req: a connection lost before the reply', async () => {
  const { socket, opened } = await connected(Req, ['REP']);
  await socket.send('1');
  const reply = socket.receive();
  opened[0].lose();
  await assert.rejects(reply, { code: 'ELOST' });
  await socket.send('2'); // waits for the next connection
  let ws = await again(opened, 'REP');
  assert.deepEqual(ws.messages, [['', '2']]);
  ws.lose();
  await assert.rejects(socket.receive(), { code: 'ELOST' }, 'a later receive rejects too');
  await assert.rejects(socket.receive(), { code: 'EFSM' });
  await socket.send('3');
  ws = await again(opened, 'REP');
  const refused = socket.receive();
  ws.lose(4403, 'no');
  await assert.rejects(refused, { code: 4403 });
  await assert.rejects(socket.receive(), { code: 4403 });
});

test('XSub sends to all and keeps subscriptions sent as messages', async () => {
  const { socket, opened } = await connected(XSub, ['XPUB', 'XPUB']);
  await socket.send('\x01a');
  await socket.send(['\x01a', 'two frames']);
  socket.subscribe('b');
  await socket.send('\0b');
  for (const ws of opened) assert.deepEqual(ws.messages, [['\x01a'], ['\x01a', 'two frames'], ['\x01b'], ['\0b']]);
  opened[0].lose();
  assert.deepEqual((await again(opened, 'XPUB')).messages, [['\x01a']]);
});

test('Pair has at most one connection', async () => {
  const { socket, opened } = await connected(Pair, ['PAIR']);
  assert.throws(() => socket.connect('ws://host/other'), { code: 'EINUSE' });
  await socket.send('ping');
  opened[0].message('pong');
  assert.deepEqual([opened[0].messages, strings(await socket.receive())], [[['ping']], ['pong']]);
});

test('refuses a handler that is not a function', () => {
  const { WebSocket } = network(), sub = new Sub({ WebSocket });
  for (const method of ['on', 'once']) assert.throws(() => sub[method]('ready', undefined), { name: 'TypeError', message: 'event handler is undefined, want a function' });
});

test('Sub: wrong topics subscribe to nothing', async () => {
  const { socket, opened } = await connected(Sub, ['PUB']);
  assert.throws(() => socket.subscribe('a', 5), TypeError);
  assert.deepEqual(opened[0].messages, []);
});

test('refuses an unknown event', () => {
  const { WebSocket } = network();
  const { events } = new Sub({ WebSocket });
  for (const name of ['connected', 'Ready', undefined]) {
    assert.throws(() => events.on(name, () => {}), { name: 'TypeError', message: /unknown event .*want one of ready, / });
    assert.throws(() => events.off(name, () => {}), TypeError);
  }
  const mux = new Mux('ws://host/', { WebSocket });
  assert.throws(() => mux.events.on('lost', () => {}), /unknown event "lost"/); // an event of sockets only
  mux.close();
});

test('a handler that throws does not affect others', async () => {
  const { socket, opened } = await connected(Pull, ['PUSH']);
  const thrown = [];
  const report = (error) => thrown.push(error.message);
  process.setUncaughtExceptionCaptureCallback(report);
  socket.events.on('disconnect', () => { throw new Error("the page's"); });
  const seen = [];
  const handler = (event) => seen.push(event.code);
  socket.events.on('disconnect', handler);
  opened[0].lose();
  await settle();
  process.setUncaughtExceptionCaptureCallback(null);
  assert.deepEqual([thrown, seen], [["the page's"], [1006]]);
  socket.events.off('disconnect', handler);
  (await again(opened, 'PUSH')).message('on');
  assert.deepEqual(strings(await socket.receive()), ['on']);
});

test('the names of zeromq.js', () => {
  assert.equal(zws.Subscriber, Sub);
  assert.equal(zws.XSubscriber, XSub);
  assert.equal(zws.Request, Req);
});
