// Checks the types with tsc: what must compile, and what must not. It is never run.

import {
  ClosedError, Dealer, Frame, Pull, Push, RefusedError, Req, Request, SocketError, Sub, Subscriber, XSub, bearer, curve, curveKeyPair, plain,
} from '@zwsbridge/zws';
import { Mux } from '@zwsbridge/zws/mux';
import { relay } from '@zwsbridge/zws/relay';

const sub: Subscriber = new Sub({ login: plain('ann', 'secret'), receiveHighWaterMark: 10 });
await sub.connect('/devices');
sub.subscribe('house/ann/', new Uint8Array([1]));
sub.events.on('refused', ({ code, reason, status }) => [code.toFixed(), reason.length, status.toFixed()])
  .on('lost', ({ url, count }) => [url.length, count.toFixed()])
  .on('disconnect', ({ delay }) => delay.toFixed())
  .on('unsubscribed', ({ topic }) => topic.toString());
for await (const [topic, value] of sub) {
  const frame: Frame | undefined = topic;
  const bytes: Uint8Array = value!;
  `${frame} ${bytes.length}`;
}

const stored: string | null = null;
const history = new Sub({ history: true, queue: 'panel', position: stored });
history.subscribe('a', new Uint8Array([1]), { last: true });
history.subscribe({ last: false });
history.subscribe('a', {});
history.events.on('resumed', ({ url, recovered, gap }) => [url.length, recovered === gap]);
for await (const message of history) {
  const [topic, value] = message, time: Date | undefined = message.time, at: string = history.position;
  `${topic}: ${value} ${time?.getTime()} ${at}`;
}
(await history.receive()).time?.toISOString();

const dealer = new Dealer({ login: bearer(async () => null), routingId: new ArrayBuffer(2) });
void dealer.connect('wss://host/a', { login: curve({ serverKey: '', ...await curveKeyPair() }) });
await dealer.send('one frame');
await dealer.send(['a', new Uint8Array(1), new DataView(new ArrayBuffer(1))] as const);

const req = new Request();
await req.send('ping');
const [reply] = await req.receive();
reply?.toString();

try {
  await new XSub().send('\x01topic');
} catch (error) {
  if (error instanceof RefusedError) error.code === 4400;
  if (error instanceof ClosedError) error.code === 'ECLOSED';
  if (error instanceof SocketError) error.code === 'EAGAIN';
}

const mux = new Mux('/devices', { login: bearer('token'), window: 1 << 20 });
mux.events.on('refused', ({ code }) => code.toFixed());
await sub.connect(mux.route('/devices'));
sub.disconnect(mux.route('/devices'));
await sub.connect(new URL('wss://host/devices'));
new Sub({ heartbeat: false, backoff: (attempt) => attempt * 100 }).reconnect();
new Mux('/', { heartbeat: { interval: 1000 } }).reconnect();
await dealer.connect(relay(mux, '/vault'), { login: curve({ serverKey: '', publicKey: '', secretKey: '' }) });
dealer.disconnect(relay(mux, '/vault'));
mux.close();

const typed = new Sub({ decode: (message): [topic: string, value: number] => [message.text(0), Number(message.text())] });
typed.on('message', ([topic, value]) => [topic.length, value.toFixed()]).once('ready', ({ url }) => url.length).off('lost', () => {});
for await (const [topic, value] of typed) `${topic.length} ${value.toFixed()}`;
const declared: Sub<[topic: string, value: number]> = typed;
(await declared.receive({ timeout: 10, signal: AbortSignal.timeout(1) }))[1].toFixed();
(await req.request(['a'], { timeout: 1000, retries: 2 })).text().length;
(await new Req({ decode: (message) => message.json() as { a: number } }).request('?')).a.toFixed();
await dealer.send('x', { signal: AbortSignal.timeout(1) });
await dealer.drain();
const messages = sub[Symbol.asyncIterator]();
await messages.return?.();
const state: 'idle' | 'connecting' | 'ready' | 'reconnecting' | 'refused' | 'closed' = sub.state;
`${state} ${sub.stats.rtt?.toFixed()} ${mux.rtt?.toFixed()} ${mux.state}`;
{
  await using short = new Pull({ debug: true });
  (await short.receive()).text(0);
}

// @ts-expect-error a decoder gets a message
new Sub({ decode: (text: string) => text });
// @ts-expect-error only sockets that receive have messages
new Push().on('message', () => {});
// @ts-expect-error only a Req has requests
dealer.request('x');
// @ts-expect-error a route has the login of the Mux
sub.connect(mux.route('/devices'), { login: bearer('token') });
// @ts-expect-error only sockets have the event lost
mux.events.on('lost', () => {});
// @ts-expect-error a Push cannot receive
new Push().receive();
// @ts-expect-error a Sub cannot send
new Sub().send('');
// @ts-expect-error unknown option
new Req({ hwm: 1 });
// @ts-expect-error only a Sub has a history
new Dealer({ history: true });
// @ts-expect-error options come last
history.subscribe({ last: true }, 'a');
// @ts-expect-error unknown option
history.subscribe('a', { first: true });
// @ts-expect-error the socket moves the position
history.position = '';
// @ts-expect-error an object or false
new Sub({ heartbeat: true });
// @ts-expect-error unknown event
sub.events.on('connected', () => {});
// @ts-expect-error true or false
new Sub({ debug: 1 });
// @ts-expect-error a target is needed
sub.connect();
// @ts-expect-error a number is not a frame
dealer.send([1]);
