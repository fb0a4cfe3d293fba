// The history of a Sub: positions, resume, last values. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { Dealer, Sub, XSub } from '../zws.js';
import { network, settle } from './fake.js';
import { begin, dialects, multiplexed, position } from './fakehistory.js';

const NONE = []; // the metadata of a server without a history

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

/** Loses the connection and returns the server's side of the next one. */
async function again({ accept }, server, properties) {
  server.lose();
  await advance(60_000);
  return accept(properties);
}

/** Reads n messages and returns the values of their second frames. */
async function read(socket, n) {
  const values = [];
  while (values.length < n) values.push(String((await socket.receive())[1]));
  return values;
}

const named = (events, name) => events.filter(([n]) => n === name).map(([, event]) => event);

for (const dialect of dialects) {
  const check = (name, action) => test(`${dialect}: ${name}`, action);

  check('asks for a history, and subscribes', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a', 'b');
    const server = await c.accept();
    await c.ready;
    if (multiplexed(dialect)) {
      const route = dialect === 'MUX' ? '/devices' : '';
      assert.deepEqual([server.op, server.metadata], [13, { type: 'SUB', routingId: '', route, named: 0, queue: '' }]);
    }
    else assert.deepEqual(server.metadata, { 'socket-type': 'SUB', notices: '1', history: '1' });
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'a'], ['SUBSCRIBE', 'b']]);
    assert.deepEqual([c.events, c.socket.position], [[['ready', {}]], '']);
  });

  check('the position moves when the application takes the message', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a');
    const server = await c.accept();
    server.message('1', ['a', 'x']).message('2', ['a', 'y'], 1_700_000_000_123_456).live('3');
    assert.equal(c.socket.position, '');
    const first = await c.socket.receive();
    assert.deepEqual([c.socket.position, first.time], [position('1'), undefined]);
    const second = await c.socket.receive();
    // Then there is nothing up to 3.
    assert.deepEqual([c.socket.position, second.time], [position('3'), new Date(1_700_000_000_123)]);
    server.live('4');
    assert.equal(c.socket.position, position('4'));
    const waiting = c.socket.receive();
    server.message('5', ['a', 'z']);
    assert.equal(c.socket.position, position('5'));
    await waiting;
  });

  check('resumes behind what it has received, with a slow consumer', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a', 'b');
    let server = await c.accept();
    server.message('1', ['a', '1']).message('2', ['b', '2']).message('3', ['a', '3']);
    assert.deepEqual(await read(c.socket, 1), ['1']);
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '3', ['a', 'b']]]);
    assert.equal(c.socket.position, position('1'));
    assert.deepEqual(await read(c.socket, 1), ['2'], 'before the answer');
    server.resumed('3', 3).message('4', ['a', '4'], 1e15).message('5', ['b', '5'], 1e15).live('6');
    assert.deepEqual(await read(c.socket, 2), ['3', '4']);
    assert.equal(c.socket.position, position('4'));
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '6', ['a', 'b']]]);
    server.resumed('6').live('6');
    assert.deepEqual(await read(c.socket, 1), ['5']);
    assert.equal(c.socket.position, position('6'));
    assert.deepEqual(named(c.events, 'resumed'), [{ recovered: true, gap: true }, { recovered: true, gap: false }]);
    assert.equal(named(c.events, 'recovered').length, 2);
  });

  check('resumes at a stored position, and says so if something is missing', async () => {
    const c = await begin(dialect, { history: true, position: position('7') });
    assert.equal(c.socket.position, position('7'));
    c.socket.subscribe('a', 'b', { last: true });
    const server = await c.accept();
    assert.deepEqual(server.take(), [['RESUME', '7', ['a', 'b']]], 'the messages take the place of last values');
    server.resumed('9', 0);
    assert.equal(c.socket.position, position('9'), 'what follows comes after it');
    server.message('10', ['a', 'x'], 1e15).live('10');
    assert.deepEqual(named(c.events, 'resumed'), [{ recovered: false, gap: false }]);
    assert.deepEqual(await read(c.socket, 1), ['x']);
    c.socket.subscribe('c');
    c.socket.unsubscribe('a');
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'c'], ['CANCEL', 'a']]);
  });

  check('resumes with the first subscriptions', async () => {
    const c = await begin(dialect, { history: true, position: position('7') });
    const server = await c.accept();
    await c.ready;
    assert.deepEqual(server.take(), []);
    c.socket.subscribe('gone');
    c.socket.unsubscribe('gone');
    await settle();
    assert.deepEqual(server.take(), []);
    c.socket.subscribe('a');
    c.socket.subscribe('b');
    await settle();
    c.socket.subscribe('c');
    await settle();
    assert.deepEqual(server.take(), [['RESUME', '7', ['a', 'b']], ['SUBSCRIBE', 'c']]);
  });

  check('asks for last values', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a', { last: true });
    let server = await c.accept();
    c.socket.subscribe('b', { last: true });
    c.socket.subscribe('b');
    c.socket.subscribe('b', { last: true });
    c.socket.subscribe({ last: true });
    c.socket.subscribe('c', { last: false });
    c.socket.subscribe('d', {});
    assert.deepEqual(server.take(), [['LAST', 'a'], ['LAST', 'b'], ['LAST', 'b'], ['LAST', ''], ['SUBSCRIBE', 'c'], ['SUBSCRIBE', 'd']]);
    server = await again(c, server);
    // It has received no position to resume at.
    assert.deepEqual(server.take(), [['LAST', 'a'], ['LAST', 'b'], ['LAST', ''], ['SUBSCRIBE', 'c'], ['SUBSCRIBE', 'd']]);
    assert.deepEqual(c.events.slice(-2), [['recovered', {}], ['resumed', { recovered: false, gap: false }]]);
    server.message('1', ['a', 'x'], 1e15);
    const message = await c.socket.receive();
    assert.deepEqual([message.map(String), message.time], [['a', 'x'], new Date(1e12)]);
  });

  check('resumes what it was subscribed to, and subscribes to what is new', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a', 'b', 'ended', { last: true });
    let server = await c.accept();
    server.live('1').lose();
    c.socket.subscribe('new');
    c.socket.subscribe('c', { last: true });
    c.socket.subscribe('b', { last: true });
    c.socket.unsubscribe('ended');
    await advance(60_000);
    server = await c.accept();
    assert.deepEqual(server.take(), [['RESUME', '1', ['a', 'b']], ['LAST', 'b'], ['SUBSCRIBE', 'new'], ['LAST', 'c']]);
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '1', ['a', 'b', 'new', 'c']]]);
  });

  check('topics that a resume refuses', async () => {
    const c = await begin(dialect, { history: true, position: '' });
    c.socket.subscribe('a', 'b');
    let server = await c.accept();
    assert.deepEqual(server.take(), [['RESUME', '', ['a', 'b']]], 'from the oldest message on');
    server.resumed('1').unsubscribed('b').live('2');
    assert.deepEqual(named(c.events, 'unsubscribed').map(({ topic }) => String(topic)), ['b']);
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '2', ['a']]]);
    c.socket.subscribe('b');
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'b']]);
  });

  check('a malformed position is an unknown one', async () => {
    for (const stored of ['undefined', 'a*b', '=', 'A'.repeat(88)]) {
      const c = await begin(dialect, { history: true, position: stored });
      c.socket.subscribe('a');
      assert.deepEqual((await c.accept()).take(), [['RESUME', '', ['a']]], `${stored}`);
    }
  });

  check('ignores invalid positions of the server', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a');
    let server = await c.accept();
    server.message('', ['a', '1']).message('1', ['a', '2']).message('', ['a', '3']).message('x'.repeat(65), ['a', '4']);
    server.live('x'.repeat(65)).live('');
    assert.deepEqual(await read(c.socket, 4), ['1', '2', '3', '4']);
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '1', ['a']]]);
  });

  check('a server without a history', async () => {
    const c = await begin(dialect, { history: true, receiveHighWaterMark: 2 });
    c.socket.subscribe('a', { last: true });
    let server = await c.accept(NONE);
    server.message(undefined, ['a', '1']);
    assert.deepEqual(await read(c.socket, 1), ['1']);
    assert.deepEqual([server.take(), c.events], [[['SUBSCRIBE', 'a']], [['ready', {}]]]);
    for (let i = 0; i < 2; i++) {
      server = await again(c, server, NONE);
      assert.deepEqual([server.take(), c.events.slice(-2)], [[['SUBSCRIBE', 'a']], [['recovered', {}], ['resumed', { recovered: false, gap: false }]]]);
    }
    for (const value of ['2', '3', '4']) server.message(undefined, ['a', value]);
    await advance(0);
    const dropped = multiplexed(dialect) ? [] : [{ count: 1 }];
    assert.deepEqual([await read(c.socket, 2), named(c.events, 'lost')], [dropped.length ? ['3', '4'] : ['2', '3'], dropped]);
    assert.equal(c.socket.position, '');
  });

  check('a server that has lost its history', async () => {
    const c = await begin(dialect, { history: true });
    c.socket.subscribe('a');
    let server = await c.accept();
    server.message('1', ['a', '1']).message('2', ['a', '2']);
    server = await again(c, server, NONE);
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'a']]);
    assert.deepEqual(named(c.events, 'resumed'), [{ recovered: false, gap: false }]);
    server.message(undefined, ['a', '3']);
    assert.deepEqual((await read(c.socket, 3)).sort(), ['1', '2', '3']);
    assert.equal(c.socket.position, position('2'));
    server = await again(c, server);
    assert.deepEqual(server.take(), [['RESUME', '2', ['a']]]);
  });

  check('a gap while it is connected', async () => {
    for (const queue of [undefined, 'q']) {
      const c = await begin(dialect, { history: true, queue });
      c.socket.subscribe('a');
      let server = await c.accept();
      if (queue) server.resumed('0').live('0');
      server.take();
      server.message('1', ['a', '1']).resumed('2', 3).live('2');
      assert.deepEqual(named(c.events, 'resumed').at(-1), { recovered: true, gap: true });
      await read(c.socket, 1);
      assert.equal(c.socket.position, position('2'), 'nothing more comes up to there');
      c.socket.receive();
      await advance(100);
      assert.deepEqual(server.take(), queue ? [['ACK', '2']] : []);
      server.message('3', ['a', '3']);
      await advance(0);
      server.resumed('4', 3).live('4');
      assert.equal(named(c.events, 'resumed').length, queue ? 3 : 2);
      server = await again(c, server);
      assert.deepEqual(server.take(), queue ? [['ACK', '2'], ['SUBSCRIBE', 'a']] : [['RESUME', '4', ['a']]]);
    }
  });

  check('moves to another connection', async () => {
    const c = await begin(dialect, { Type: XSub, history: true });
    await c.socket.send('\x01a');
    let server = await c.accept();
    server.message('1', ['a', '1']).message('2', ['a', '2']);
    assert.throws(() => c.socket.connect('ws://other/'), { code: 'EINUSE' });
    c.socket.disconnect(c.target);
    c.socket.connect(c.target);
    server = await c.accept();
    assert.deepEqual(server.take(), [['RESUME', '2', ['a']]]);
    server.resumed('2').message('3', ['a', '3'], 1e15).live('3');
    assert.deepEqual(await read(c.socket, 2), ['1', '2']);
    assert.equal(c.socket.position, position('2'));
    assert.deepEqual(await read(c.socket, 1), ['3']);
  });
}

for (const dialect of ['NULL', 'PLAIN', 'CURVE']) {
  test(`${dialect}: more than receiveHighWaterMark messages come later`, async () => {
    for (const options of [{ history: true }, { queue: 'q' }]) {
      const c = await begin(dialect, { ...options, receiveHighWaterMark: 4 });
      c.socket.subscribe('a');
      let server = await c.accept();
      await c.ready;
      server.take();
      for (let i = 1; i <= 4; i++) server.message(`${i}`, ['a', `${i}`]);
      assert.equal(c.socket.ready, true);
      server.message('5', ['a', '5']).message('6', ['a', '6']);
      assert.equal(c.socket.ready, false);
      assert.deepEqual(c.events.at(-1), ['disconnect', { code: 1000, reason: '4 unread messages; resumes when half of them are read', delay: 0, cause: undefined }]);
      assert.deepEqual(await read(c.socket, 1), ['1']);
      await advance(60_000);
      assert.equal(c.opened.length, 1);
      assert.deepEqual(await read(c.socket, 1), ['2']);
      server = await c.accept();
      const resumed = options.queue ? ['ACK', '1'] : ['RESUME', '4', ['a']];
      assert.deepEqual(server.take()[0], resumed);
      server.resumed(options.queue ? '1' : '4');
      for (let i = options.queue ? 2 : 5; i <= 6; i++) server.message(`${i}`, ['a', `${i}`], 1e15);
      server.live('6');
      assert.deepEqual(await read(c.socket, 4), ['3', '4', '5', '6']);
      assert.deepEqual(named(c.events, 'lost'), []);
    }
  });
}

test('MUX: a slow consumer has flow control', async () => {
  const c = await begin('MUX', { history: true, receiveHighWaterMark: 1, window: 100 });
  c.socket.subscribe('a');
  const server = await c.accept();
  const granted = () => c.opened[0].sent.filter(([op]) => op === 6).map((sent) => Buffer.from(sent).readUInt32BE(5));
  // Each costs 1 + 1 + 8 for its mark, and 4 + (4 + 1) + (4 + 1).
  for (let i = 1; i <= 4; i++) server.message(`${i}`, ['a', `${i}`]);
  await read(c.socket, 2);
  assert.deepEqual(granted(), []);
  await read(c.socket, 1);
  assert.deepEqual(granted(), [72]);
});

test('MUX: LAST keeps its order with subscriptions that wait for credit', async () => {
  const c = await begin('MUX', { history: true });
  c.socket.subscribe('a');
  const server = await c.accept(undefined, 1);
  c.socket.unsubscribe('a');
  c.socket.subscribe('a', { last: true });
  assert.deepEqual(server.take(), [['SUBSCRIBE', 'a']]);
  server.credit(100);
  assert.deepEqual(server.take(), [['CANCEL', 'a'], ['LAST', 'a']]);
  server.credit(1);
});

test('many topics, and one that is too long for RESUME', async () => {
  const c = await begin('NULL', { history: true, position: position('1') }), long = 'x'.repeat(65536);
  c.socket.subscribe(long, 'a', long.slice(1));
  assert.deepEqual((await c.accept()).take(), [['RESUME', '1', ['a', long.slice(1)]], ['SUBSCRIBE', long]]);
});

test('a malformed command ends the connection for good', async () => {
  for (const send of [
    (server) => server.deliver(2, Buffer.from('\x02AT')),
    (server) => server.deliver(2, Buffer.from('\x02AT\x02a')),
    (server) => server.deliver(2, Buffer.from('\x02AT\x01a\0\0')),
    (server) => server.deliver(2, Buffer.from('\x04LIVE')),
    (server) => server.deliver(2, Buffer.from('\x07RESUMED')),
    (server) => server.deliver(2, Buffer.from('\x07RESUMED\x01')),
  ]) {
    const c = await begin('NULL', { history: true });
    send(await c.accept());
    assert.deepEqual(named(c.events, 'refused').map(({ code }) => code), [1002]);
  }
});

test('options', async () => {
  const { WebSocket } = network();
  const plain = new Sub({ WebSocket });
  assert.throws(() => plain.subscribe('a', { last: true }), { name: 'SocketError', code: 'EHISTORY', message: /history: true/ });
  assert.throws(() => new XSub({ WebSocket, position: null }).subscribe({ last: true }), { code: 'EHISTORY' });
  plain.subscribe('a', {});
  plain.subscribe({ last: false });
  assert.throws(() => plain.subscribe({ last: false }, 'a'), TypeError);
  assert.throws(() => new Dealer({ WebSocket, history: true }), /history/);
  assert.throws(() => new Sub({ WebSocket, queue: 'x'.repeat(256) }), RangeError);
  assert.throws(() => new Sub({ WebSocket, queue: 7 }), TypeError);
  for (const options of [{ queue: 'q' }, { position: '' }]) new Sub({ WebSocket, ...options }).subscribe('a', { last: true });
  assert.deepEqual([plain.position, new Sub({ WebSocket, position: 'MQ' }).position], ['', 'MQ']);
});
