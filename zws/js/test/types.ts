// What a program in TypeScript writes, and what it may not: tsc checks it, nobody runs it.

import {
  Dealer, Frame, Push, RefusedError, Req, Request, SocketError, Sub, Subscriber, XSub, bearer, curve, curveKeyPair, plain,
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
  const octets: Uint8Array = value!;
  `${frame} ${octets.length}`;
}

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
  if (error instanceof SocketError) error.code === 'EAGAIN';
}

const mux = new Mux('/devices', { login: bearer('token'), window: 1 << 20 });
mux.events.on('refused', ({ code }) => code.toFixed());
await sub.connect(mux.route('/devices'));
sub.disconnect(mux.route('/devices'));
await dealer.connect(relay(mux, '/vault'), { login: curve({ serverKey: '', publicKey: '', secretKey: '' }) });
dealer.disconnect(relay(mux, '/vault'));
mux.close();

// @ts-expect-error the login is that of the Mux
sub.connect(mux.route('/devices'), { login: bearer('token') });
// @ts-expect-error what was lost is told to the sockets
mux.events.on('lost', () => {});
// @ts-expect-error a Push has nothing to receive
new Push().receive();
// @ts-expect-error a Sub has nothing to send
new Sub().send('');
// @ts-expect-error there is no such option
new Req({ hwm: 1 });
// @ts-expect-error there is no such event
sub.events.on('connected', () => {});
// @ts-expect-error a number is no frame
dealer.send([1]);
