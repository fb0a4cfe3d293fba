// Many sockets on one WebSocket. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Dealer, Pair, Pull, Push, RefusedError, Req, Sub, XSub, bearer, curve, plain } from '../zws.js';
import { none } from '../zws/credentials.js';
import { Mux } from '../zws/mux.js';
import { network as plainNetwork, record, settle } from './fake.js';
import { URL, begin, connected, frame, messages, network, over } from './fakemux.js';

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

test('logs in once, then opens the routes', async () => {
  const m = await begin();
  assert.deepEqual([m.ws.url, m.ws.protocols, m.ws.binaryType], [URL, ['ZWSMUX1.0'], 'arraybuffer']);
  const sub = await over(m, Sub, ['/devices'], { routingId: 'me' }), req = await over(m, Req, ['/control?x']);
  assert.equal(m.mux.ready, false);
  m.ws.ready();
  assert.deepEqual(m.ws.sent, [
    { op: 'login', mechanism: 'PLAIN', data: '\x03ann\x06secret' },
    { op: 'open', channel: 1, window: 262144, type: 'SUB', routingId: 'me', route: '/devices' },
    { op: 'open', channel: 2, window: 262144, type: 'REQ', routingId: '', route: '/control?x' },
  ]);
  assert.deepEqual([m.mux.ready, m.mux.url, sub.socket.ready], [true, URL, false]);
  m.ws.opened(2).opened(1);
  await Promise.all([...sub.ready, ...req.ready]);
  assert.deepEqual([m.events, sub.events, req.events], [[['ready', {}]], [['ready', {}]], [['ready', {}]]]);
  assert.equal(m.opened.length, 1);
});

test('logs in with NULL and BEARER', async () => {
  for (const [login, want] of [[none, ['NULL', '']], [bearer(() => 'token'), ['BEARER', 'token']]]) {
    const { ws } = await begin({ login });
    ws.open();
    assert.deepEqual(ws.sent, [{ op: 'login', mechanism: want[0], data: want[1] }]);
  }
});

test('refuses invalid arguments', async () => {
  const { WebSocket } = network();
  assert.throws(() => new Mux(URL, { WebSocket, login: curve({}) }), TypeError);
  assert.throws(() => new Mux(URL, { WebSocket, hwm: 1 }), /hwm/);
  assert.throws(() => new Mux('ftp://host/', { WebSocket }), TypeError);
  for (const window of [0, -1, 2 ** 31, NaN]) assert.throws(() => new Mux(URL, { WebSocket, window }), RangeError);
  const mux = new Mux(URL, { WebSocket, window: 2 ** 31 - 1 });
  for (const route of ['', 'devices', undefined]) assert.throws(() => mux.route(route), TypeError);
  assert.throws(() => mux.route(`/${'x'.repeat(65_535)}`), RangeError);
  assert.equal(JSON.stringify(mux.route('/a')), '{"url":"wss://host/a"}');
});

test('Sub: sends subscriptions as messages, again after a reconnect', async () => {
  const { ws, socket, opened, events, muxEvents } = await connected(Sub);
  socket.subscribe('a', 'b');
  socket.unsubscribe('b');
  assert.deepEqual(ws.on(1), [['\x01a'], ['\x01b'], ['\0b']]);
  ws.message(1, ['a/1', '21'], ['a/2', '']);
  assert.deepEqual([strings(await socket.receive()), strings(await socket.receive())], [['a/1', '21'], ['a/2', '']]);
  ws.lose(1001, 'the bridge is shutting down');
  const lost = ['disconnect', { code: 1001, reason: 'the bridge is shutting down', delay: 250, cause: undefined }];
  assert.deepEqual([events.at(-1), muxEvents.at(-1), socket.ready], [lost, lost, false]);
  socket.subscribe('c');
  await advance(250);
  opened[1].ready().opened(1);
  assert.deepEqual(opened[1].on(1), [['\x01a'], ['\x01c']]);
  assert.deepEqual([events.at(-1), muxEvents.at(-1)], [['recovered', {}], ['recovered', {}]]);
});

test('a socket that connects in the event handler of the login', async () => {
  const m = await begin(), socket = new Sub({ WebSocket: m.WebSocket });
  for (const name of ['ready', 'recovered']) {
    m.mux.events.on(name, () => { socket.connect(m.mux.route(`/${name}`)); });
  }
  m.ws.ready().opened(1);
  await settle();
  assert.deepEqual(m.ws.sent.map(({ op }) => op), ['login', 'open']);
  m.ws.lose();
  await advance(250);
  m.opened[1].ready();
  await settle();
  assert.deepEqual(m.opened[1].channels, { '/ready': 1, '/recovered': 2 });
  assert.equal(m.opened[1].sent.length, 3);
});

test('all socket types', async () => {
  for (const [Type, type] of [[Dealer, 'DEALER'], [Pair, 'PAIR'], [XSub, 'XSUB']]) {
    const { ws, socket } = await connected(Type);
    assert.equal(ws.sent[1].type, type);
    await socket.send(['a', new Uint8Array([98])]);
    assert.deepEqual(ws.on(1), [['a', 'b']]);
    ws.message(1, ['c']);
    assert.deepEqual(strings(await socket.receive()), ['c']);
  }
  const push = await connected(Push), pull = await connected(Pull), req = await connected(Req);
  await push.socket.send('x');
  assert.deepEqual(push.ws.on(1), [['x']]);
  pull.ws.message(1, ['y']);
  assert.deepEqual(strings(await pull.socket.receive()), ['y']);
  await req.socket.send('question');
  assert.deepEqual(req.ws.on(1), [['', 'question']]);
  req.ws.message(1, ['no delimiter'], ['', 'answer'], ['', 'twice']);
  assert.deepEqual(strings(await req.socket.receive()), ['answer']);
});

test('a socket with routes of a Mux and a WebSocket of its own', async () => {
  const m = await begin(), own = plainNetwork();
  m.ws.ready();
  const { socket, ready } = await over({ ...m, WebSocket: own.WebSocket }, Push, ['/a', '/b']);
  const direct = socket.connect('wss://host/c');
  assert.throws(() => socket.connect(m.mux.route('/a')), { code: 'EINUSE' });
  await settle();
  own.opened[0].login('PULL');
  m.ws.opened(1).opened(2);
  await Promise.all([...ready, direct]);
  for (let i = 0; i < 6; i++) await socket.send(`${i}`);
  assert.deepEqual([m.ws.on(1), m.ws.on(2), own.opened[0].messages].map((all) => all.length), [2, 2, 2]);
  socket.disconnect(m.mux.route('/a'));
  socket.disconnect('wss://host/b');
  assert.deepEqual(m.ws.sent.slice(-2), [{ op: 'close', channel: 1, code: 1000 }, { op: 'close', channel: 2, code: 1000 }]);
  m.ws.message(1, ['under way']).credit(1, 5).refuse(2, 4403);
  await socket.send('still');
  assert.equal(own.opened[0].messages.at(-1)[0], 'still');
});

const FINAL = [1002, 1009, 4400, 4403, 4404, 4406, 4409, 4500, 4502];
const LATER = [1000, 1001, 1011, 4300, 4408, 4429, 4503, 4504, 4508];

for (const code of FINAL) {
  test(`${code} refuses one channel and leaves the others`, async () => {
    const m = await connected(Sub), other = await over(m, Pull, ['/other']);
    m.ws.opened(2).refuse(1, code, 'because');
    await assert.rejects(m.socket.receive(), { name: 'RefusedError', code, reason: 'because' });
    assert.deepEqual(m.events.at(-1), ['refused', { code, reason: 'because', status: 0 }]);
    m.ws.message(2, ['on']);
    assert.deepEqual(strings(await other.socket.receive()), ['on']);
    await advance(600_000);
    assert.equal(m.ws.sent.length, 3);
    assert.equal(m.muxEvents.length, 1);
  });
}

for (const code of LATER) {
  test(`opens a channel again after ${code}, with another number`, async () => {
    const { ws, events, socket } = await connected(Sub, { options: { reconnectInterval: 100, reconnectMaxInterval: 1000 } });
    socket.subscribe('a');
    ws.refuse(1, code, 'because');
    const delay = code === 4429 ? 1000 : 100;
    assert.deepEqual(events.at(-1), ['disconnect', { code, reason: 'because', delay, cause: undefined }]);
    await advance(delay - 1);
    assert.equal(ws.channels['/devices'], 1);
    await advance(1);
    assert.equal(ws.channels['/devices'], 2);
    ws.refuse(2, 4503);
    assert.equal(events.at(-1)[1].delay, code === 4429 ? 100 : 200);
    await advance(200);
    ws.opened(3);
    assert.deepEqual(events.at(-1), ['recovered', {}]);
    assert.deepEqual(ws.on(3), [['\x01a']]);
  });
}

test('a channel and the connection wait as the server advises', async () => {
  const { ws, events, muxEvents, opened } = await connected(Sub);
  ws.refuse(1, 4503, 'backend 1 cannot be reached; retry in 60s');
  const { delay } = events.at(-1)[1];
  assert.ok(delay >= 60_000 && delay <= 90_000, `${delay}`);
  await advance(delay - 1);
  assert.equal(ws.channels['/devices'], 1);
  await advance(1);
  assert.equal(ws.channels['/devices'], 2);
  ws.lose(1001, 'the bridge is restarting; retry in 5s');
  const later = muxEvents.at(-1)[1].delay;
  assert.ok(later >= 5_000 && later <= 7_500, `${later}`);
  assert.equal(events.at(-1)[1].delay, later);
  await advance(later - 1);
  assert.equal(opened.length, 1);
  await advance(1);
  assert.equal(opened.length, 2);
});

test('4401 on a channel waits for the end of the connection', async () => {
  let token = 'one';
  for (const ends of [true, false]) {
    const { ws, opened, events } = await connected(Sub, { login: bearer(() => token) });
    ws.refuse(1, 4401, 'ended');
    assert.deepEqual(events, [['ready', {}]]);
    if (!ends) { // an administrator has ended only this channel
      await advance(1000);
      assert.deepEqual(events.at(-1), ['refused', { code: 4401, reason: 'ended', status: 0 }]);
      continue;
    }
    token = 'two';
    ws.lose(4401, 'ended');
    await advance(1000);
    opened[1].ready().opened(1);
    assert.deepEqual(opened[1].sent[0].data, 'two');
    assert.deepEqual(events.map(([name]) => name), ['ready', 'disconnect', 'recovered']);
  }
});

test('a refused login refuses all sockets', async () => {
  const m = await begin(), sockets = [await over(m, Sub, ['/a']), await over(m, Dealer, ['/b'])];
  m.ws.open().lose(4400, 'login refused');
  for (const { ready, events, socket } of sockets) {
    await assert.rejects(ready[0], { name: 'RefusedError', code: 4400, reason: 'login refused' });
    assert.deepEqual(events, [['refused', { code: 4400, reason: 'login refused', status: 0 }]]);
    await assert.rejects(socket.receive(), RefusedError);
  }
  assert.deepEqual([m.events, m.mux.closed], [[['refused', { code: 4400, reason: 'login refused', status: 0 }]], true]);
  const later = await over(m, Sub, ['/c']);
  await assert.rejects(later.ready[0], { code: 4400 });
  await advance(600_000);
  assert.equal(m.opened.length, 1);
});

test('a socket that connects again after the login was refused', async () => {
  const m = await begin(), { socket } = await over(m, Sub);
  let again;
  socket.events.on('refused', () => { again ??= socket.connect(m.mux.route('/devices')); });
  m.ws.open().lose(4400, 'login refused');
  await settle();
  await assert.rejects(again, { code: 4400 });
});

test('renews the login', async () => {
  let token = 'one';
  const { ws, events, muxEvents } = await connected(Sub, { login: bearer(() => token) });
  token = 'two';
  ws.sendFrame('expiring', [30, 4]);
  await settle();
  assert.deepEqual(ws.sent.at(-1), { op: 'login', mechanism: 'BEARER', data: 'two' });
  ws.sendFrame('ready', [100, 4]);
  const want = [['ready', {}], ['expiring', { seconds: 30 }], ['renewed', {}]];
  assert.deepEqual([events, muxEvents], [want, want]);
});

test('opens no more channels than the server allows', async () => {
  const m = await begin();
  m.ws.ready(2);
  const all = [await over(m, Pull, ['/1', '/2']), await over(m, Pull, ['/3'], { reconnectMaxInterval: 1000 })];
  assert.deepEqual(Object.keys(m.ws.channels), ['/1', '/2']);
  assert.deepEqual(all[1].events, [['disconnect', {
    code: 4429, reason: 'the server allows no more channels on this connection', delay: 1000, cause: undefined,
  }]]);
  all[0].socket.disconnect(m.mux.route('/1'));
  await advance(1000);
  assert.equal(m.ws.channels['/3'], 3);
  m.ws.opened(3);
  await all[1].ready[0];
});

test('reports losses on the channel that they concern', async () => {
  const m = await connected(Sub), other = await over(m, Sub, ['/other']);
  const topics = [];
  other.socket.events.on('unsubscribed', ({ url, topic }) => topics.push([url, String(topic)]));
  m.ws.opened(2).sendFrame('lost', [2, 4], [258, 8]).sendFrame('unsubscribed', [2, 4], 'a/').sendFrame('unsubscribed', [2, 4]);
  assert.deepEqual([m.events.length, other.events[1]], [1, ['lost', { count: 258 }]]);
  assert.deepEqual(topics, [['wss://host/other', 'a/'], ['wss://host/other', '']]);
});

// Each entry is a fault of the server while channel 1 is open, with the code that reports it.
const DEFECTS = {
  'a channel that was never opened': [(ws) => ws.message(2, ['x']), 1002],
  'channel 0': [(ws) => ws.credit(0, 1), 1002],
  'opened twice': [(ws) => ws.opened(1), 1002],
  'more credit than the maximum': [(ws) => ws.credit(1, 2 ** 31 - 1), 1002],
  'a message without credit': [(ws) => ws.message(1, ['x'.repeat(100)]).message(1, ['x']), 1002],
  'two messages, the second without credit': [(ws) => ws.message(1, ['x'.repeat(100)], ['x']), 1002],
  'a message whose lengths do not match': [(ws) => ws.sendFrame('messages', [1, 4], [5, 4], [2, 4], 'a'), 1002],
  'op 03': [(ws) => ws.onmessage({ data: frame('open', [1, 4]) }), 1002],
  'text': [(ws) => ws.onmessage({ data: 'ready' }), 1003],
  'an empty message': [(ws) => ws.onmessage({ data: new ArrayBuffer(0) }), 1002],
};

for (const [name, [defect, code]] of Object.entries(DEFECTS)) {
  test(`refuses ${name}`, async () => {
    const good = await connected(Pull), { ws, socket, muxEvents } = await connected(Sub, { window: 100 });
    defect(ws);
    await assert.rejects((async () => { for await (const _ of socket); })(), { name: 'RefusedError', code });
    assert.equal(ws.closedWith, 1000);
    assert.equal(muxEvents.at(-1)[0], 'refused');
    good.ws.message(1, ['on']);
    assert.deepEqual(strings(await good.socket.receive()), ['on']);
  });
}

test('a bundle is its frames in their order', async () => {
  const m = await begin(), one = await over(m, Sub, ['/one']), two = await over(m, Sub, ['/two']);
  m.ws.ready().bundle(frame('opened', [1, 4], [1000, 4]), frame('opened', [2, 4], [1000, 4]));
  await Promise.all([...one.ready, ...two.ready]);
  m.ws.bundle(
    frame('messages', [1, 4], messages(['a'], ['b', 'c'])),
    frame('messages', [2, 4], messages(['d'])),
    frame('lost', [1, 4], [3, 8]),
    frame('messages', [1, 4], messages(['e'])),
    frame('close', [2, 4], [4503, 2], 'no backend'),
  );
  const received = [];
  for (const { socket } of [one, one, two, one]) received.push(strings(await socket.receive()));
  assert.deepEqual(received, [['a'], ['b', 'c'], ['d'], ['e']]);
  assert.deepEqual(one.events.at(-1), ['lost', { count: 3 }]);
  assert.deepEqual([two.events.at(-1)[0], two.events.at(-1)[1].code], ['disconnect', 4503]);
});

test('what follows in a bundle is ignored when a handler has closed the Mux, and refused if it is malformed', async () => {
  const closing = await connected(Sub);
  closing.socket.on('lost', () => closing.mux.close());
  closing.ws.bundle(frame('lost', [1, 4], [3, 8]), frame('opened', [1, 4], [1, 4]), new ArrayBuffer(0));
  assert.deepEqual([closing.mux.state, closing.muxEvents.map(([name]) => name)], ['closed', ['ready']]);

  const refused = await connected(Sub);
  refused.ws.bundle(frame('messages', [1, 4], messages(['a'])), new ArrayBuffer(0));
  assert.deepEqual([refused.mux.state, String(await refused.socket.receive())], ['refused', 'a']);

  const large = await connected(Sub);
  large.ws.bundle(...Array.from({ length: 8192 }, () => frame('lost', [1, 4], [3, 8])));
  assert.deepEqual([large.mux.state, large.events.map(([name]) => name)], ['refused', ['ready', 'refused']]);
});

test('refuses frames that come too early', async () => {
  for (const early of [(ws) => ws.open().opened(1), (ws) => ws.ready().message(1, ['x'])]) {
    const m = await begin(), { ready } = await over(m, Sub);
    early(m.ws);
    await assert.rejects(ready[0], { code: 1002 });
  }
});

test('login and opening that take too long', async () => {
  const m = await begin({ handshakeTimeout: 5000 }), { events } = await over(m, Sub, ['/a'], { handshakeTimeout: 100 });
  m.ws.open();
  await advance(5000);
  assert.deepEqual(m.events, [['disconnect', { code: 1006, reason: 'the login took longer than 5000 ms', delay: 250, cause: undefined }]]);
  await advance(250);
  m.opened[1].ready();
  await advance(100);
  assert.deepEqual(m.opened[1].sent.at(-1), { op: 'close', channel: 1, code: 1000 });
  assert.equal(events.at(-1)[1].reason, 'opening the channel took longer than 100 ms');
  m.opened[1].opened(1); // too late: ignored
  assert.equal(events.at(-1)[0], 'disconnect');
});

test('a server without ZWSMUX1.0', async () => {
  const m = await begin(), { ready } = await over(m, Sub);
  m.ws.open('');
  await assert.rejects(ready[0], { code: 4406, reason: 'the server does not support ZWSMUX1.0' });
});

test('close by the socket, and by the Mux', async () => {
  const m = await connected(Sub), other = await over(m, Pull, ['/other']);
  m.socket.close();
  assert.deepEqual(m.ws.sent.at(-1), { op: 'close', channel: 1, code: 1000 });
  assert.equal(m.ws.closedWith, undefined, 'the other socket still uses it');
  m.mux.close();
  m.mux.close();
  assert.equal(m.ws.closedWith, 1000);
  await assert.rejects(other.ready[0], { code: 'ECLOSED' });
  assert.deepEqual([m.mux.closed, other.socket.closed, other.socket.ready], [true, false, false]);
  assert.throws(() => other.socket.connect(m.mux.route('/other')), { code: 'ECLOSED' });
  await advance(60_000);
  assert.equal(m.opened.length, 1);

  const early = await begin();
  const never = over(early, Sub);
  early.mux.close();
  await assert.rejects((await never).ready[0], { code: 'ECLOSED' });
});

test('sends a removed subscription again only when the page subscribes again', async () => {
  const { ws, socket, opened } = await connected(Sub);
  socket.subscribe('a', 'b');
  ws.sendFrame('unsubscribed', [1, 4], 'a');
  ws.lose();
  await advance(250);
  assert.deepEqual(opened[1].ready().opened(1).on(1), [['\x01b']]);
  socket.subscribe('a');
  assert.deepEqual(opened[1].on(1), [['\x01b'], ['\x01a']]);
});
