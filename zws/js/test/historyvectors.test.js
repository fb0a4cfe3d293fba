// Checks the test vectors of the commands for histories, as the Go implementation does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { parseCommand } from '../zws/command.js';
import { COMMAND } from '../zws/frame.js';
import { settle } from './fake.js';
import { begin } from './fakehistory.js';

const { commands, commands_invalid: invalid } = JSON.parse(readFileSync(new URL('../../testdata/mux-vectors.json', import.meta.url)));
const unhex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const position = (text) => unhex(text).toString('base64url');

/** Makes a client send the command of a vector. */
const ask = {
  async RESUME({ topics, ...v }) {
    const { socket, accept } = await begin('NULL', { history: true, position: position(v.position) });
    socket.subscribe(...topics.map(unhex));
    return accept();
  },
  async ACK(v) {
    const { socket, accept } = await begin('NULL', { queue: '' }), server = await accept();
    server.message(unhex(v.position), ['a']);
    await socket.receive();
    socket.close();
    return server;
  },
  async LAST({ topics }) {
    const { socket, accept } = await begin('NULL', { history: true });
    socket.subscribe(...topics.map(unhex), { last: true });
    return accept();
  },
};

/** Checks what a command of the server has done. */
const check = {
  AT: ({ socket }, v) => assert.equal(socket.position, position(v.position)),
  RESUMED: ({ events }, { flags }) => assert.deepEqual(events.at(-1), ['resumed', { recovered: !!(flags & 1), gap: !!(flags & 2) }]),
  LIVE: ({ socket }, v) => assert.equal(socket.position, position(v.position)),
};

let sent = 0, received = 0;

for (const vector of commands) {
  test(`${vector.command}: ${vector.name}`, async () => {
    if (vector.from === 'client') {
      if (vector.command === 'RESUME' && !vector.topics) return; // without topics this client does not send it
      const { ws } = await ask[vector.command](vector);
      const got = ws.sent.filter(({ flag, body }) => flag === COMMAND && parseCommand(body).name === vector.command);
      assert.deepEqual(got.map(({ body }) => Buffer.from(body)), [unhex(vector.bytes)]);
      sent++;
    } else {
      const client = await begin('NULL', { history: true }), server = await client.accept();
      server.deliver(COMMAND, unhex(vector.bytes));
      if (vector.command === 'AT') {
        server.message(undefined, ['a']);
        const { time } = await client.socket.receive();
        assert.deepEqual(time, vector.time && new Date(vector.time / 1000));
      }
      await settle();
      check[vector.command](client, vector);
      client.socket.close();
      received++;
    }
  });
}

for (const vector of invalid.filter(({ from }) => from === 'server')) {
  test(`refuses ${vector.name}`, async () => {
    const { events, accept } = await begin('NULL', { history: true });
    (await accept()).deliver(COMMAND, unhex(vector.bytes));
    assert.deepEqual(events.at(-1)[1].code, 1002);
  });
}

test('finds the vectors', () => assert.ok(sent >= 4 && received >= 5 && invalid.length >= 10));
