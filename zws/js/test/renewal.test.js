// Tokens that come late or not at all, renewals, and a server that announces something again and
// again. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Sub, bearer } from '../zws.js';
import { toBytes, toText } from '../zws/frame.js';
import { begin, metadata, settle } from './fake.js';
import { begin as beginMux, over } from './fakemux.js';

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

test('a token that never comes', async () => {
  const cause = { name: 'SocketError', code: 'ETIMEDOUT', message: 'the credentials took longer than 5000 ms' };
  let asked = 0;
  const { events, opened } = await begin({ handshakeTimeout: 5000, login: bearer(() => { asked++; return new Promise(() => {}); }) });
  await advance(5000);
  const [[name, event]] = events;
  assert.deepEqual([name, event.code, event.reason, event.delay], ['disconnect', 1006, 'the credentials are not available', 250]);
  assert.deepEqual({ name: event.cause.name, code: event.cause.code, message: event.cause.message }, cause);
  await advance(250);
  assert.deepEqual([asked, opened.length], [2, 0]);
});

test('a token that comes too late does not disturb the next attempt', async () => {
  const give = [];
  const { opened } = await begin({ handshakeTimeout: 1000, login: bearer(() => new Promise((resolve) => { give.push(resolve); })) });
  await advance(1000);
  await advance(250);
  give[0]('late');
  await settle();
  assert.equal(opened.length, 0);
  give[1]('good');
  await settle();
  assert.equal(toText(opened[0].open().sent[0].body), '\x05HELLOgood');
  assert.equal(opened.length, 1);
});

/** Returns a socket with a BEARER login. token() is called for each token. */
async function loggedIn(token, options) {
  const c = await begin({ login: bearer(token), ...options });
  c.ws.open().command('WELCOME');
  c.ws.command('READY', metadata([['Socket-Type', 'PUB']]));
  await c.ready;
  return c;
}

const expiring = (ws, seconds) => ws.command('EXPIRING', [0, 0, seconds >> 8, seconds & 255]);

test('a renewal whose token never comes is reported when the login ends', async () => {
  let asked = 0;
  const { ws, events } = await loggedIn(() => (asked++ ? new Promise(() => {}) : 'one'), { handshakeTimeout: 1000 });
  expiring(ws, 4);
  await advance(1000);
  await advance(2000);
  assert.equal(asked, 3, 'asked again after half of the time');
  await advance(1000);
  ws.lose(4401, 'the login has expired');
  const [name, { code, cause }] = events.at(-1);
  assert.deepEqual([name, code, cause?.code], ['disconnect', 4401, 'ETIMEDOUT']);
});

test('one renewal at a time, however often the server announces the end', async () => {
  let asked = 0, waiting = 0, most = 0;
  const token = async () => {
    asked++;
    most = Math.max(most, ++waiting);
    for (let i = 0; i < 5; i++) await null;
    waiting--;
    return 'one';
  };
  const { ws, events } = await loggedIn(token);
  await settle();
  for (let i = 0; i < 1000; i++) {
    expiring(ws, 1000 - i);
    await advance(6);
  }
  assert.ok(most === 1 && asked <= 12, `${asked} calls, ${most} at once`);
  const announced = events.filter(([event]) => event === 'expiring').length;
  assert.ok(announced <= 150, `${announced} events in 6 s`);
});

test('a login that expires in a hundred years', async () => {
  let asked = 0;
  const { ws } = await loggedIn(() => { asked++; return 'one'; });
  ws.command('EXPIRING', [255, 255, 255, 255]);
  for (let i = 0; i < 100; i++) await advance(1000);
  assert.equal(asked, 2);
});

test('Mux: a storm of announcements and renewals', async () => {
  let asked = 0;
  const m = await beginMux({ login: bearer(() => `token ${asked++}`) });
  m.ws.ready();
  const sockets = await Promise.all(Array.from({ length: 20 }, (_, i) => over(m, Sub, [`/${i}`])));
  for (let i = 0; i < 1000; i++) {
    m.ws.sendFrame('expiring', [30, 4]).sendFrame('ready', [100, 4]);
    await advance(5);
  }
  assert.ok(asked <= 6, `${asked} calls`);
  for (const { events } of [m, ...sockets]) assert.ok(events.length <= 140, `${events.length} events in 5 s`);
});

/** Returns a socket that is ready. */
async function connected() {
  const c = await begin();
  c.ws.login('PUB');
  await c.ready;
  return c;
}

test('a storm of losses: the counts add up', async () => {
  const { ws, events } = await connected();
  for (let i = 0; i < 1000; i++) ws.command('LOST', [0, 0, 0, 0, 0, 0, 0, 3]);
  assert.equal(events.length, 21);
  await advance(1000);
  const lost = events.filter(([name]) => name === 'lost').map(([, { count }]) => count);
  assert.deepEqual([lost.length, lost.reduce((a, b) => a + b)], [21, 3000]);
});

test('every own subscription that is removed is reported, others at a limited rate', async () => {
  const { ws, events, socket } = await connected();
  socket.subscribe(...Array.from({ length: 100 }, (_, i) => `own/${i}`));
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 100; i++) ws.command('UNSUBSCRIBED', toBytes(`own/${i}`));
  }
  for (let i = 0; i < 1000; i++) ws.command('UNSUBSCRIBED', toBytes(`foreign/${i}`));
  await advance(1000);
  const topics = events.filter(([name]) => name === 'unsubscribed').map(([, { topic }]) => String(topic));
  assert.equal(new Set(topics.filter((topic) => topic.startsWith('own'))).size, 100);
  assert.ok(topics.length <= 100 + 21, `${topics.length} events`);
});

test('no events of a connection that is closed', async () => {
  const { ws, events, socket } = await connected();
  for (let i = 0; i < 100; i++) ws.command('LOST', [0, 0, 0, 0, 0, 0, 0, 3]);
  socket.close();
  await advance(5000);
  assert.equal(events.length, 21);
});
