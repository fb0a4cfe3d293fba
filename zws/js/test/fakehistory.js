// Servers with a history, in each dialect that carries one (zws/PROTOCOL.md). The test plays
// the server, with positions as text.

import { Sub, curve, plain } from '../zws.js';
import { metadata, parseCommand, parseMetadata } from '../zws/command.js';
import { COMMAND, LAST, MORE, concat, encode, parse, toText } from '../zws/frame.js';
import { Mux } from '../zws/mux.js';
import nacl from '../zws/nacl.js';
import { URL, command, network, record, settle } from './fake.js';
import { frame, messages, network as muxNetwork } from './fakemux.js';

/** Returns the position that the application sees. */
export const position = (text) => Buffer.from(text).toString('base64url');

const short = (text) => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
const micros = (time) => {
  const data = Buffer.alloc(8);
  data.writeBigUInt64BE(BigInt(time));
  return data;
};

/** Returns the strings at the start of data whose lengths have size bytes: count of them, by default to the end. */
function strings(data, size, count = Infinity) {
  const all = [];
  for (let rest = Buffer.from(data); rest.length && all.length < count;) {
    const end = size + rest.readUIntBE(0, size);
    all.push(rest.subarray(size, end).toString());
    rest = rest.subarray(end);
  }
  return all;
}

/** Returns what a command of a client with a history asks for. */
function asked(name, data) {
  if (name === 'LAST') return [name, toText(data)];
  const end = 1 + data[0], at = toText(data.subarray(1, end));
  return name === 'RESUME' ? [name, at, strings(data.subarray(end), 2)] : [name, at];
}

const subscription = (body) => [body[0] ? 'SUBSCRIBE' : 'CANCEL', toText(body.subarray(1))];

/** A WebSocket of ZWS 2.0 with NULL or PLAIN. */
class Plain {
  writable = true;

  constructor(ws) {
    this.ws = ws;
  }

  /** Logs the client in. properties are more metadata of READY. */
  login(properties) {
    this.ws.open();
    this.handshake(metadata([['Socket-Type', 'PUB'], ...properties]));
    return this;
  }

  handshake(ready) {
    if (this.ws.protocol.endsWith('PLAIN')) this.ws.command('WELCOME');
    const { data } = parseCommand(this.ws.sent.at(-1).body);
    this.metadata = Object.fromEntries([...parseMetadata(data)].map(([name, value]) => [name, toText(value)]));
    this.start = this.ws.sent.length;
    this.ws.command('READY', ready);
  }

  open(sent) {
    return sent;
  }

  deliver(flag, body) {
    this.ws.deliver(flag, body);
  }

  /** What the client has sent since its login, or since the last call. */
  take() {
    return this.ws.sent.slice(this.start, this.start = this.ws.sent.length).map((sent) => {
      const { flag, body } = this.open(sent);
      if (flag !== COMMAND) return subscription(body);
      const { name, data } = parseCommand(body);
      return asked(name, data);
    });
  }

  /** Sends a message; time is in microseconds. */
  message(at, frames, time) {
    if (at !== undefined) this.deliver(COMMAND, command('AT', short(at), time ? micros(time) : []));
    frames.forEach((text, i) => this.deliver(i < frames.length - 1 ? MORE : LAST, Buffer.from(text)));
    return this;
  }

  resumed(at, flags = 1) {
    this.deliver(COMMAND, command('RESUMED', [flags], short(at)));
    return this;
  }

  live(at) {
    this.deliver(COMMAND, command('LIVE', short(at)));
    return this;
  }

  unsubscribed(topic) {
    this.deliver(COMMAND, command('UNSUBSCRIBED', Buffer.from(topic)));
    return this;
  }

  lose(...why) {
    this.ws.lose(...why);
  }
}

const keyPair = () => nacl.box.keyPair.fromSecretKey(crypto.getRandomValues(new Uint8Array(32)));
const serverKeys = keyPair(), clientKeys = keyPair();

/** The server side of CURVE (26/CURVEZMQ), without its checks. */
class Curve extends Plain {
  #key;
  #sent = 1n;

  #nonce() {
    return micros(this.#sent++);
  }

  #seal(prefix, nonce, data, key = this.#key) {
    return concat(nonce, nacl.secretbox(data, concat(Buffer.from(prefix), nonce), key));
  }

  #unseal(prefix, data) {
    return nacl.secretbox.open(data.subarray(8), concat(Buffer.from(prefix), data.subarray(0, 8)), this.#key);
  }

  handshake(ready) {
    const client = parseCommand(this.ws.sent[0].body).data.slice(74, 106), transient = keyPair();
    this.ws.command('WELCOME', this.#seal('WELCOME-', new Uint8Array(16), concat(transient.publicKey, new Uint8Array(96)),
      nacl.box.before(client, serverKeys.secretKey)));
    this.#key = nacl.box.before(client, transient.secretKey);
    const login = this.#unseal('CurveZMQINITIATE', parseCommand(this.ws.sent[1].body).data.subarray(96));
    this.metadata = Object.fromEntries([...parseMetadata(login.slice(128))].map(([name, value]) => [name, toText(value)]));
    this.start = this.ws.sent.length;
    this.ws.command('READY', this.#seal('CurveZMQREADY---', this.#nonce(), ready));
  }

  open({ body }) {
    const data = this.#unseal('CurveZMQMESSAGEC', body.subarray(8));
    return { flag: data[0], body: data.subarray(1) };
  }

  deliver(flag, body) {
    this.ws.deliver(LAST, command('MESSAGE', this.#seal('CurveZMQMESSAGES', this.#nonce(), concat([flag], body))));
  }
}

const OPS = { 5: 'messages', 6: 'credit', 7: 'close', 16: 'RESUME', 19: 'ACK', 20: 'LAST' };

const isOpen = (op) => op === 3 || op === 13;

/** A WebSocket of ZWSMUX1.0, with one channel after the other. */
class Multiplexed {
  constructor(ws) {
    this.ws = ws;
  }

  login(properties, credit = 1 << 16) {
    const open = Buffer.from(this.ws.sent.findLast(([op]) => isOpen(op)));
    this.channel = open.readUInt32BE(1);
    this.window = open.readUInt32BE(5);
    const [type, routingId] = strings(open.subarray(9), 1, 2), rest = open.subarray(11 + type.length + routingId.length);
    const [route] = strings(rest, 2, 1), [named = 0, , ...queue] = rest.subarray(2 + route.length);
    this.metadata = { type, routingId, route, named, queue: String.fromCharCode(...queue) };
    this.op = open[0];
    this.start = this.ws.sent.length;
    return this.#send(14, [credit, 4], [properties.length, 1]);
  }

  #send(op, ...fields) {
    const data = Buffer.from(frame('ready', [this.channel, 4], ...fields));
    data[0] = op;
    this.ws.onmessage({ data: new Uint8Array(data).buffer });
    return this;
  }

  take() {
    return this.ws.sent.slice(this.start, this.start = this.ws.sent.length).map((sent) => Buffer.from(sent)).flatMap((sent) => {
      const name = OPS[sent[0]], data = sent.subarray(5);
      if (name === 'messages') return [subscription(data.subarray(8))];
      if (name === 'credit') {
        this.window += data.readUInt32BE(0);
        return [];
      }
      return name === 'close' ? [[name]] : [asked(name, data)];
    });
  }

  message(at, frames, time = 0) {
    if (at === undefined) return this.#send(5, messages(frames));
    const mark = short(at), body = messages(frames);
    this.window -= mark.length + 8 + body.length;
    return this.#send(15, mark, [time, 8], body);
  }

  resumed(at, flags = 1) {
    return this.#send(17, [flags, 1], short(at));
  }

  live(at) {
    return this.#send(18, short(at));
  }

  unsubscribed(topic) {
    return this.#send(10, topic);
  }

  /** Whether the client takes another message. */
  get writable() {
    return this.window > 0;
  }

  credit(bytes) {
    return this.#send(6, [bytes, 4]);
  }

  lose(code = 1006, reason = '') {
    if (code < 4000) this.ws.lose(code, reason);
    else this.#send(7, [code, 2], reason);
  }
}

const logins = {
  NULL: undefined,
  PLAIN: plain('ann', 'secret'),
  CURVE: curve({ serverKey: serverKeys.publicKey, ...clientKeys }),
};

// SINGLE is a socket without a Mux on a server that chooses ZWSMUX1.0.
export const dialects = [...Object.keys(logins), 'MUX', 'SINGLE'];

/** Whether the dialect has ops and flow control. */
export const multiplexed = (dialect) => dialect === 'MUX' || dialect === 'SINGLE';

/** Waits for a state. Modules are loaded on demand, which takes more than promise callbacks. */
export async function until(reached) {
  while (!reached()) await new Promise(setImmediate);
}

/**
 * Returns a Sub that has begun to connect. isWaiting() reports whether it is connecting, and
 * accept() lets it log in to a server with a history, or without one, and returns that server's
 * side.
 */
export async function begin(dialect, { Type = Sub, window, ...options } = {}) {
  const { WebSocket, opened } = multiplexed(dialect) ? muxNetwork((data) => new Uint8Array(data)) : network(parse);
  const login = logins[dialect], delays = { reconnectInterval: 1, reconnectMaxInterval: 10 }, all = { WebSocket, ...delays, ...options };
  const socket = new Type(dialect === 'MUX' ? all : { login, ...all });
  const events = record(socket, ['ready', 'disconnect', 'recovered', 'refused', 'lost', 'unsubscribed', 'resumed']);
  const mux = dialect === 'MUX' && new Mux(URL, { WebSocket, login: logins.PLAIN, ...delays, window });
  const target = mux ? mux.route('/devices') : URL;
  const ready = socket.connect(target);
  let accepted; // the message with which the last connection or channel was opened
  const ws = () => opened.at(-1), request = () => (multiplexed(dialect) ? ws()?.sent.findLast(([op]) => isOpen(op)) : ws());
  const isWaiting = () => (multiplexed(dialect) && ws()?.readyState === 0) || (!!request() && request() !== accepted);
  const accept = async (properties = [['History', '1']], credit) => {
    await until(isWaiting);
    if (!ws().readyState && multiplexed(dialect)) ws().open('ZWSMUX1.0').sendFrame('ready', [100, 4]);
    await until(() => request() && request() !== accepted);
    accepted = request();
    return new { NULL: Plain, PLAIN: Plain, CURVE: Curve, MUX: Multiplexed, SINGLE: Multiplexed }[dialect](ws()).login(properties, credit);
  };
  return { socket, events, opened, ready, accept, isWaiting, target };
}

export { encode, settle };
