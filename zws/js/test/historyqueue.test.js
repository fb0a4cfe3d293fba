// The queues of a Sub with a history. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { settle } from './fake.js';
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

  check('a queue is acknowledged when the application asks for the next message', async () => {
    const c = await begin(dialect, { queue: 'q' });
    c.socket.subscribe('a');
    const server = await c.accept();
    if (multiplexed(dialect)) assert.deepEqual([server.op, server.metadata.named, server.metadata.queue], [13, 1, 'q']);
    else assert.deepEqual([server.metadata.history, server.metadata.queue], ['1', 'q']);
    server.resumed('0').message('1', ['a', '1'], 1e15).message('2', ['a', '2'], 1e15).live('2').message('3', ['a', '3']);
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'a']]);
    await c.socket.receive();
    await advance(1000);
    assert.deepEqual(server.take(), [], 'the application has not finished with the message');
    await c.socket.receive();
    await advance(99);
    assert.deepEqual(server.take(), []);
    await c.socket.receive();
    await advance(1);
    assert.deepEqual(server.take(), [['ACK', '2']]);
    c.socket.receive();
    await advance(100);
    assert.deepEqual(server.take(), [['ACK', '3']], 'no next message is needed');
    await advance(1000);
    assert.deepEqual(server.take(), []);
    server.live('4');
    await advance(100);
    assert.deepEqual(server.take(), [['ACK', '4']], 'the application waits, so it has finished with all before');
    assert.equal(c.socket.position, position('4'));
    server.message('5', ['a', '5']);
    await advance(100);
    server.live('6');
    await advance(1000);
    assert.deepEqual(server.take(), [], 'the application has not finished with the message');
    c.socket.receive();
    await advance(100);
    assert.deepEqual(server.take(), [['ACK', '6']]);
    assert.deepEqual(named(c.events, 'resumed'), [{ recovered: true, gap: false }]);
  });

  check('a queue is acknowledged after 100 messages, and when the application closes', async () => {
    for (const close of [(socket) => socket.close(), (socket, target) => socket.disconnect(target)]) {
      const c = await begin(dialect, { queue: '' });
      c.socket.subscribe('a');
      const server = await c.accept();
      if (!multiplexed(dialect)) assert.equal(server.metadata.queue, '');
      server.resumed('0').live('0');
      for (let i = 1; i <= 103; i++) server.message(`${i}`, ['a', `${i}`]);
      await read(c.socket, 102);
      assert.deepEqual(server.take(), [['SUBSCRIBE', 'a'], ['ACK', '100']]);
      close(c.socket, c.target);
      assert.deepEqual(server.take(), [['ACK', '102'], ...(dialect === 'MUX' ? [['close']] : [])]);
    }
  });

  check('a queue that repeats messages', async () => {
    const c = await begin(dialect, { queue: 'q' });
    c.socket.subscribe('a', { last: true });
    let server = await c.accept();
    assert.deepEqual(server.take(), [['LAST', 'a']]);
    server.resumed('0').live('0');
    for (const n of ['1', '2', '3', '4']) server.message(n, ['a', n]);
    assert.deepEqual(await read(c.socket, 2), ['1', '2']);
    server = await again(c, server);
    assert.deepEqual(server.take(), [['ACK', '1'], ['SUBSCRIBE', 'a']]);
    server.resumed('0');
    for (const n of ['1', '2', '3', '4', '5']) server.message(n, ['a', n], 1e15);
    server.live('5').message('4', ['a', 'a last value'], 1e15);
    assert.deepEqual(await read(c.socket, 4), ['3', '4', '5', 'a last value']);
  });

  check('ends the subscriptions that a queue has stored', async () => {
    const c = await begin(dialect, { queue: 'q' });
    c.socket.subscribe('a', 'b');
    c.socket.unsubscribe('old');
    let server = await c.accept();
    assert.deepEqual(server.take(), [['SUBSCRIBE', 'a'], ['SUBSCRIBE', 'b'], ['CANCEL', 'old']]);
    c.socket.unsubscribe('older');
    assert.deepEqual(server.take(), [['CANCEL', 'older']]);
    server.lose();
    c.socket.unsubscribe('a');
    c.socket.subscribe('old');
    await advance(60_000);
    server = await c.accept();
    assert.deepEqual(server.take(), [['CANCEL', 'a'], ['SUBSCRIBE', 'b'], ['SUBSCRIBE', 'old'], ['CANCEL', 'older']]);
  });

  check('a queue taken over, or on a server without a history', async () => {
    const c = await begin(dialect, { queue: 'q', position: position('9') });
    c.socket.subscribe('a');
    let server = await c.accept(NONE);
    await settle();
    assert.deepEqual([server.take(), c.events], [[['SUBSCRIBE', 'a']], [['ready', {}], ['resumed', { recovered: false, gap: false }]]]);
    assert.equal(c.socket.position, '', 'the server keeps it');
    server = await again(c, server);
    server.resumed('0').message('1', ['a', '1'], 1e15);
    server.lose(4409, 'another connection has taken over the queue');
    assert.deepEqual(await read(c.socket, 1), ['1']);
    await assert.rejects(c.socket.receive(), { name: 'RefusedError', code: 4409 });
    await advance(60_000);
    assert.equal(c.opened.length, 2);
  });
}
