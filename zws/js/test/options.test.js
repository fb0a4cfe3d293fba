// The options of sockets and of a Mux: what they can be.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Sub, bearer } from '../zws.js';
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
};
const sockets = {
  sendHighWaterMark: { good: [0, 1, Infinity], range: [-1, NaN] },
  sendHighWaterBytes: { good: [0, 1], range: [-1, NaN] },
  receiveHighWaterMark: { good: [0, 1], range: [-1, NaN] },
  sendTimeout: { good: [-1, 0, 1], range: [-2, NaN, Infinity] },
  maxMessageSize: { good: [-1, 1], range: [0, -2, NaN] },
  maxFrames: { good: [-1, 1], range: [0, -2, NaN] },
};

for (const [Type, options] of [['Sub', both], ['Mux', both], ['Sub', sockets]]) {
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
  ]) assert.throws(() => make.Sub(options), { message });
});
