// A fake WebSocket class on which the test plays a server of ZWSMUX1.0.

import { plain } from '../zws.js';
import { Mux } from '../zws/mux.js';
import { CONNECTION_EVENTS } from '../zws/events.js';
import { network as fakeNetwork, record, settle } from './fake.js';

export const URL = 'wss://host/devices';

const OPS = ['', 'login', 'ready', 'open', 'opened', 'messages', 'credit', 'close', 'lost', 'expiring', 'unsubscribed', 'relay', 'relayed'];

/** Encodes a frame. Fields are strings, bytes, or [number, size]. */
export function frame(op, ...fields) {
  const parts = fields.map((field) => (Array.isArray(field) ? Buffer.from(BigInt(field[0]).toString(16).padStart(2 * field[1], '0'), 'hex') : Buffer.from(field)));
  return new Uint8Array(Buffer.concat([Buffer.from([OPS.indexOf(op)]), ...parts])).buffer;
}

/** Encodes messages, each a list of strings. */
export const messages = (...all) => Buffer.concat(all.flatMap((frames) => {
  const body = frames.map((f) => Buffer.concat([size(Buffer.byteLength(f)), Buffer.from(f)]));
  return [size(Buffer.concat(body).length), ...body];
}));

function size(n) {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
}

/** Encodes a bundle of encoded frames. */
const bundle = (frames) => new Uint8Array(Buffer.concat([Buffer.from([23]), ...frames.flatMap((f) => [size(f.byteLength), Buffer.from(f)])])).buffer;

/** Parses a frame of the client. */
export function read(data) {
  const b = Buffer.from(data), op = OPS[b[0]];
  let at = 1;
  const number = (n) => b.readUIntBE((at += n) - n, n);
  const string = (n) => { const length = number(n); return b.subarray(at, at += length).toString(); };
  if (op === 'login') return { op, mechanism: string(1), data: b.subarray(at).toString() };
  if (op === 'open') return { op, channel: number(4), window: number(4), type: string(1), routingId: string(1), route: string(2) };
  if (op === 'relay') return { op, channel: number(4), window: number(4), mechanism: string(1), route: string(2) };
  if (op === 'credit') return { op, channel: number(4), size: number(4) };
  if (op === 'close') return { op, channel: number(4), code: number(2) };
  const channel = number(4), all = [];
  while (at < b.length) {
    const end = number(4) + at, frames = [];
    while (at < end) frames.push(string(4));
    all.push(frames);
  }
  return { op, channel, messages: all };
}

/** Returns what fake.js does, with the actions of a ZWSMUX1.0 server. parse parses what the client sends. */
export function network(parse = read) {
  const made = fakeNetwork(parse);
  class WebSocket extends made.WebSocket {
    /** The contexts of the client's pings, which are not in sent. */
    pings = [];
    /** Whether the server answers nothing. */
    deaf = false;

    send(message) {
      const [op, ...context] = message;
      if (op !== 21) return super.send(message);
      this.pings.push(context);
      if (!this.deaf) this.onmessage({ data: Uint8Array.from([22, ...context]).buffer });
    }

    sendFrame(op, ...fields) {
      this.onmessage({ data: frame(op, ...fields) });
      return this;
    }

    /** Sends encoded frames as one bundle. */
    bundle(...frames) {
      this.onmessage({ data: bundle(frames) });
      return this;
    }

    /** Answers the login. */
    ready(channels = 100) {
      return this.open().sendFrame('ready', [channels, 4]);
    }

    opened(channel, credit = 65536) {
      return this.sendFrame('opened', [channel, 4], [credit, 4]);
    }

    message(channel, ...all) {
      return this.sendFrame('messages', [channel, 4], messages(...all));
    }

    credit(channel, bytes) {
      return this.sendFrame('credit', [channel, 4], [bytes, 4]);
    }

    refuse(channel, code, reason = '') {
      return this.sendFrame('close', [channel, 4], [code, 2], reason);
    }

    /** The channels opened by the client, by route. */
    get channels() {
      return Object.fromEntries(this.sent.filter(({ op }) => op === 'open').map(({ route, channel }) => [route, channel]));
    }

    /** The messages sent by the client on a channel. */
    on(channel) {
      return this.sent.filter((f) => f.op === 'messages' && f.channel === channel).flatMap((f) => f.messages);
    }
  }
  return { WebSocket, opened: made.opened };
}

/** Returns a Mux that has begun to connect. */
export async function begin(options = {}) {
  const { WebSocket, opened } = network();
  const mux = new Mux(URL, { WebSocket, login: plain('ann', 'secret'), ...options });
  const events = record(mux, CONNECTION_EVENTS);
  await settle();
  return { mux, events, opened, ws: opened[0], WebSocket };
}

/** Returns a socket that has begun to connect to each of the routes, and the promises of that. */
export async function over({ mux, WebSocket }, Type, routes = ['/devices'], options = {}) {
  const socket = new Type({ WebSocket, ...options });
  const events = record(socket);
  const ready = routes.map((route) => socket.connect(mux.route(route)));
  await settle();
  return { socket, events, ready };
}

/** Returns a socket that is ready on one route of a Mux of its own. */
export async function connected(Type, { options, credit, ...login } = {}) {
  const m = await begin(login);
  m.ws.ready();
  const s = await over(m, Type, ['/devices'], options);
  m.ws.opened(1, credit);
  await s.ready[0];
  return { ...m, muxEvents: m.events, ...s };
}
