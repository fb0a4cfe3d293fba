// Checks the test vectors of ZWSMUX1.0, as the Go implementation does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { concat, toBytes } from '../zws/frame.js';
import { close, credit, login, message, open, parse, parseMessages, relay } from '../zws/muxframe.js';

const vectors = JSON.parse(readFileSync(new URL('../../testdata/mux-vectors.json', import.meta.url)));
const unhex = (text) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const hex = (data) => Buffer.from(data).toString('hex');
const limits = { maxMessageSize: 1 << 20, maxFrames: 1000 };

const write = {
  login: ({ mechanism, credentials = [] }) => login(mechanism, concat(...credentials.map(unhex).flatMap(
    (data) => (mechanism === 'PLAIN' ? [[data.length], data] : [data])))),
  // This client does not put topics into open: it subscribes with messages.
  open: (v) => concat(open(v.channel, v.number, v.route, { type: v.socket_type, routingId: unhex(v.routing_id) }), ...(v.topics ?? []).flatMap(
    (topic) => [[0, unhex(topic).length], unhex(topic)])),
  relay: (v) => relay(v.channel, v.number, v.route, v),
  messages: ({ channel, messages }) => concat(...messages.map((frames, i) => message(channel, frames.map(unhex)).subarray(i && 5))),
  credit: ({ channel, number }) => credit(channel, number),
  close: ({ channel, code }) => close(channel, code),
};

const numbers = ({ channel, number, code, minor }) => [channel, number, code, minor].filter((n) => n !== undefined);

let written = 0, read = 0;

for (const vector of vectors.mux) {
  test(vector.name, () => {
    const frame = unhex(vector.bytes);
    if (vector.from !== 'server') {
      assert.equal(hex(write[vector.op](vector)), hex(frame));
      written++;
    }
    if (vector.from !== 'client') {
      const got = parse(frame.slice().buffer);
      assert.deepEqual([got.op, got.numbers], [vector.op, numbers(vector)]);
      if (vector.op === 'messages') assert.deepEqual(parseMessages(got.rest, limits).map((all) => all.map(hex)), vector.messages);
      else assert.deepEqual(got.rest, vector.topic === undefined ? toBytes(vector.reason ?? '') : unhex(vector.topic));
      read++;
    }
  });
}

for (const { name, bytes: data } of vectors.mux_invalid) {
  test(`refuses ${name}`, () => {
    assert.throws(() => parseMessages(parse(unhex(data).slice().buffer).rest, limits), { code: 1002 });
  });
}

test('finds the vectors', () => assert.ok(written >= 10 && read >= 10 && vectors.mux_invalid.length >= 10));
