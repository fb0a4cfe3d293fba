// The options of sockets and of a Mux: what they can be.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Dealer, Req, Sub, XSub, bearer } from '../zws.js';
import { Mux } from '../zws/mux.js';
import { network } from './fake.js';

const { WebSocket } = network();
const make = { Sub: (options) => new Sub({ WebSocket, ...options }), Mux: (options) => new Mux('ws://host/', { WebSocket, ...options }).close() };

const both = {
  handshakeTimeout: { good: [0, 1, 30_000, 2 ** 31 - 1], range: [-1, NaN, Infinity, 2 ** 31, 0.5] },
  reconnectInterval: { good: [-1, 1, 250, undefined], range: [0, -2, NaN, Infinity, 2 ** 31] },
  reconnectMaxInterval: { good: [0, 1, 30_000], range: [-1, NaN, Infinity] },
  heartbeat: { good: [false, {}, { interval: 20 }, { timeout: 20 }, { interval: undefined }], range: [{ interval: 0 }, { timeout: -1 }, { interval: NaN }, { interval: 19 }], type: [true, 30_000, null, { intervall: 1 }, { interval: '1' }] },
  backoff: { good: [() => 1, undefined], type: [100, null, 'x'] },
  login: { good: [bearer('token'), undefined], type: ['token', null, {}, { user: 'ann' }] },
  WebSocket: { good: [WebSocket], type: ['ws', {}] },
  debug: { good: [false, undefined], type: [1, null, 'zws', {}] },
};
const sockets = {
  sendHighWaterMark: { good: [0, 1, Infinity], range: [-1, NaN] },
  sendHighWaterBytes: { good: [0, 1], range: [-1, NaN] },
  receiveHighWaterMark: { good: [0, 1], range: [-1, NaN] },
  sendTimeout: { good: [-1, 0, 1], range: [-2, NaN, Infinity] },
  maxMessageSize: { good: [-1, 1], range: [0, -2, NaN] },
  maxFrames: { good: [-1, 1], range: [0, -2, NaN] },
  history: { good: [true, false, undefined], type: [1, null, 'yes'] },
  queue: { good: ['', 'panel', undefined], range: ['x'.repeat(256)], type: [7, null, new Uint8Array(1)] },
  position: { good: ['', 'MQ', null, undefined], type: [7, true, new Uint8Array(1)] },
};
const muxes = { window: { good: [1, 2 ** 31 - 1], range: [0, -1, NaN, 2 ** 31] } };

for (const [Type, options] of [['Sub', both], ['Mux', both], ['Sub', sockets], ['Mux', muxes]]) {
  for (const [name, { good, range = [], type = ['1', null, true, 1n, []] }] of Object.entries(options)) {
    test(`${Type}: ${name}`, () => {
      for (const value of good) make[Type]({ [name]: value });
      for (const value of range) assert.throws(() => make[Type]({ [name]: value }), { name: 'RangeError', message: new RegExp(name) });
      for (const value of type) assert.throws(() => make[Type]({ [name]: value }), (error) => error.name === 'TypeError' && error.message.includes(name));
    });
  }
}

test('the text says what can be', () => {
  for (const [options, message] of [
    [{ reconnectInterval: 0 }, 'option reconnectInterval is 0, want 1 to 2147483647, or -1 for never'],
    [{ handshakeTimeout: 'soon' }, 'option handshakeTimeout is soon, want 1 to 2147483647, or 0 for no limit'],
    [{ maxMessageSize: 0 }, 'option maxMessageSize is 0, want at least 1, or -1 for no limit'],
    [{ heartbeat: '30' }, 'option heartbeat: want { interval, timeout } or false'],
    [{ heartbeat: { interval: 1 } }, 'option heartbeat.interval is 1, want 20 to 2147483647'],
    [{ debug: 1 }, 'option debug is 1, want a boolean'],
    [{ position: 7 }, 'option position is 7, want a string or null'],
    [{ history: null }, 'option history is null, want a boolean'],
  ]) assert.throws(() => make.Sub(options), { message });
});

test('options of calls that wait', async () => {
  const sub = new Sub({ WebSocket }), req = new Req({ WebSocket }), dealer = new Dealer({ WebSocket }), xsub = new XSub({ WebSocket });
  const calls = { receive: (o) => sub.receive(o), send: (o) => dealer.send('a', o), reqSend: (o) => req.send('a', o), xsubSend: (o) => xsub.send('a', o) };
  for (const [name, call] of Object.entries(calls)) {
    for (const timeout of [-2, NaN, Infinity, 2 ** 31]) await assert.rejects(call({ timeout }), { name: 'RangeError', message: /option timeout/ }, name);
    for (const timeout of ['1', null]) await assert.rejects(call({ timeout }), { name: 'TypeError', message: /option timeout/ }, name);
    await assert.rejects(call({ signal: 'now' }), { name: 'TypeError', message: 'option signal: want an AbortSignal' }, name);
  }
  for (const options of [{ retries: -1 }, { retries: NaN }, { timeout: NaN }]) assert.throws(() => req.request('a', options), RangeError);
  assert.throws(() => req.request('a', { retries: '1' }), { message: 'option retries is 1, want at least 0' });
  for (const [name, call] of Object.entries({ ...calls, drain: (o) => dealer.drain(o) })) {
    for (const options of [null, 5, 'x']) await assert.rejects(call(options), { message: `options are ${options}, want an object` }, name);
    for (const option of ['timeOut', 'retries']) { // only requests are repeated
      await assert.rejects(call({ [option]: 5 }), { name: 'TypeError', message: new RegExp(`^unknown option "${option}", want one of `) }, name);
    }
  }
  assert.throws(() => req.request('a', null), TypeError);
  assert.throws(() => req.request('a', { retrys: 2 }), { message: 'unknown option "retrys", want one of timeout, signal, retries' });
  assert.throws(() => sub.connect('ws://host/', { logn: 1 }), { message: 'unknown option "logn", want one of login, signal' });
  await assert.rejects(dealer.drain({ signal: {} }), TypeError);
  assert.throws(() => sub.connect('ws://host/', { signal: 1 }), TypeError);
  assert.equal(sub.state, 'idle', 'a wrong option connects to nothing');
});

test('targets', () => {
  const sub = new Sub({ WebSocket });
  for (const [target, message] of [
    [undefined, 'unsupported target undefined, want a URL or a route of a Mux'],
    [null, 'unsupported target null, want a URL or a route of a Mux'],
    [{}, 'unsupported target [object Object], want a URL or a route of a Mux'],
    [7, 'unsupported target 7, want a URL or a route of a Mux'],
    ['/devices', 'invalid URL "/devices", want one such as wss://host/path'], // outside a page, a path is relative to nothing
    ['ftp://host/', 'unsupported URL scheme "ftp:", want "ws:" or "wss:"'],
  ]) {
    for (const use of [() => sub.connect(target), () => sub.disconnect(target), () => new Mux(target, { WebSocket })]) {
      assert.throws(use, { name: 'TypeError', message });
    }
  }
  sub.connect(new URL('https://host/devices'));
  sub.disconnect('wss://host/devices');
  assert.equal(sub.state, 'idle');
});
