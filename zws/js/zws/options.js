// The options of sockets and of a Mux: their defaults, and what they can be.
// SPDX-License-Identifier: MPL-2.0

import { none } from './credentials.js';
import { MAX_CREDIT } from './muxframe.js';

const MAX_TIMEOUT = 2 ** 31 - 1; // ms: a timer with a longer one fires at once
const MIN_HEARTBEAT = 20; // ms: the bridge accepts 100 pings a second

/** Options that sockets and a Mux have. */
const CONNECTION_DEFAULTS = {
  login: none,
  handshakeTimeout: 30_000,
  reconnectInterval: 250,
  reconnectMaxInterval: 30_000,
  backoff: undefined,
  heartbeat: undefined,
  debug: false,
};

/** Options that sockets have in addition. */
export const SOCKET_DEFAULTS = {
  routingId: '',
  sendHighWaterMark: 1000,
  sendHighWaterBytes: 4 << 20,
  sendTimeout: -1,
  receiveTimeout: -1,
  receiveHighWaterMark: 1000,
  maxMessageSize: 1 << 20,
  maxFrames: 1000,
};

// Of each number: the least, the largest, a special value and its meaning.
const timeout = [0, MAX_TIMEOUT, -1, 'none'], mark = [1, Infinity, 0, 'no limit'], limit = [1, Infinity, -1, 'no limit'];
const NUMBERS = {
  handshakeTimeout: [1, MAX_TIMEOUT, 0, 'no limit'],
  reconnectInterval: [1, MAX_TIMEOUT, -1, 'never'],
  reconnectMaxInterval: [1, MAX_TIMEOUT, 0, 'always reconnectInterval'],
  sendHighWaterMark: mark,
  sendHighWaterBytes: mark,
  receiveHighWaterMark: mark,
  sendTimeout: timeout,
  receiveTimeout: timeout,
  maxMessageSize: limit,
  maxFrames: limit,
  window: [1, MAX_CREDIT],
};

const TYPES = {
  WebSocket: 'function',
  backoff: 'function',
  decode: 'function',
  debug: 'boolean',
  history: 'boolean',
  queue: 'string',
  position: 'string or null',
};

/** Returns the value, with the special value for "no limit" as Infinity. */
function checkNumber(name, value, [min, max, special, meaning] = NUMBERS[name]) {
  if (value === special) return meaning === 'no limit' ? Infinity : value;
  if (value >= min && value <= max && typeof value === 'number') return value;
  const range = max < Infinity ? `${min} to ${max}` : `at least ${min}`;
  throw new (typeof value === 'number' ? RangeError : TypeError)(
    `option ${name} is ${String(value)}, want ${range}${meaning ? `, or ${special} for ${meaning}` : ''}`);
}

function checkHeartbeat(heartbeat = {}) {
  if (heartbeat === false) return undefined;
  if (heartbeat === null || typeof heartbeat !== 'object') throw new TypeError('option heartbeat: want { interval, timeout } or false');
  const all = { interval: 30_000, timeout: 10_000 };
  for (const name in heartbeat) {
    if (!(name in all)) throw new TypeError(`unknown option "heartbeat.${name}", want interval or timeout`);
    if (heartbeat[name] !== undefined) all[name] = checkNumber(`heartbeat.${name}`, heartbeat[name], [MIN_HEARTBEAT, MAX_TIMEOUT]);
  }
  return all;
}

/** Throws a TypeError unless login is one. */
export function checkLogin(login) {
  if (!login?.begin) throw new TypeError('unsupported login: want the result of plain, bearer or curve');
}

/** Throws a TypeError or RangeError for wrong options of a call that waits. */
export function checkWait(options, names = ['timeout', 'signal']) {
  if (options === null || typeof options !== 'object') throw new TypeError(`options are ${String(options)}, want an object`);
  for (const name in options) {
    if (!names.includes(name)) throw new TypeError(`unknown option "${name}", want one of ${names.join(', ')}`);
  }
  const { timeout = -1, retries = 0, signal } = options;
  checkNumber('timeout', timeout, NUMBERS.receiveTimeout);
  checkNumber('retries', retries, [0, Infinity]);
  if (signal != null && !signal.addEventListener) throw new TypeError('option signal: want an AbortSignal');
}

/** Returns the options with defaults filled in; undefined means the default. Throws a TypeError or RangeError for a wrong one. */
export function complete(options, defaults) {
  const all = { ...CONNECTION_DEFAULTS, WebSocket: globalThis.WebSocket, ...defaults };
  for (const name in options) {
    if (!(name in all)) throw new TypeError(`unknown option "${name}", want one of ${Object.keys(all).join(', ')}`);
    if (options[name] !== undefined) all[name] = options[name];
  }
  for (const name in NUMBERS) {
    if (name in all) all[name] = checkNumber(name, all[name]);
  }
  checkLogin(all.login);
  all.heartbeat = checkHeartbeat(all.heartbeat);
  for (const name in TYPES) {
    const value = all[name], type = TYPES[name];
    if (value !== undefined && !type.includes(value === null ? 'null' : typeof value)) throw new TypeError(`option ${name} is ${String(value)}, want a ${type}`);
  }
  if (!all.WebSocket) throw new TypeError('missing WebSocket: set the option WebSocket to a class, because none is global');
  return all;
}
