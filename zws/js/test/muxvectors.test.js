// Checks the test vectors of ZWSMUX1.0, as the Go implementation does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { short } from '../zws/command.js';
import { concat, toBytes } from '../zws/frame.js';
import { close, command, credit, eachFrame, login, message, open, parseMessages, ping, relay } from '../zws/muxframe.js';

const vectors = JSON.parse(readFileSync(new URL('../../testdata/mux-vectors.json', import.meta.url)));
const unhex = (text) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const hex = (data) => Buffer.from(data).toString('hex');
const long = (topic) => concat([0, unhex(topic).length], unhex(topic));
const limits = { maxMessageSize: 1 << 20, maxFrames: 1000 };

const write = {
  login: ({ mechanism, credentials = [] }) => login(mechanism, concat(...credentials.map(unhex).flatMap(
    (data) => (mechanism === 'PLAIN' ? [[data.length], data] : [data])))),
  // This client does not put topics into open: it subscribes with messages.
  open: (v) => concat(open(v.channel, v.number, v.route, { type: v.socket_type, routingId: unhex(v.routing_id) }), ...(v.topics ?? []).map(long)),
  'open-history': (v) => concat(open(v.channel, v.number, v.route, {
    type: v.socket_type, routingId: unhex(v.routing_id), history: true, queue: v.queue,
  }), ...(v.topics ?? []).map(long)),
  resume: ({ channel, position, topics = [] }) => command(channel, 'RESUME', [short(unhex(position)), ...topics.map(long)]),
  ack: ({ channel, position }) => command(channel, 'ACK', [short(unhex(position))]),
  last: ({ channel, topic }) => command(channel, 'LAST', [unhex(topic)]),
  relay: (v) => relay(v.channel, v.number, v.route, v),
  messages: ({ channel, messages }) => concat(...messages.map((frames, i) => message(channel, frames.map(unhex)).subarray(i && 5))),
  credit: ({ channel, number }) => credit(channel, number),
  ping: ({ context = '' }) => ping(unhex(context)),
  close: ({ channel, code }) => close(channel, code),
};

const numbers = ({ op, channel, number, code, minor, flags }) => [channel, number, code, minor, op === 'resumed' ? undefined : flags].filter((n) => n !== undefined);

/** Returns the position and the time of a marked message. */
const marks = ({ positions, times }) => positions?.map((position, i) => {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(times[i]));
  return hex(short(unhex(position))) + hex(time);
});

/** Returns what follows the numbers in a frame without messages. */
function rest({ op, position, flags, topic, context, reason = '' }) {
  if (context !== undefined) return unhex(context);
  if (position !== undefined) return concat(op === 'resumed' ? [flags] : [], short(unhex(position)));
  return topic === undefined ? toBytes(reason) : unhex(topic);
}

/** Returns the frames of a WebSocket message. */
function parse(data) {
  const all = [];
  eachFrame(data.slice().buffer, { _handshake: {} }, (frame) => all.push(frame));
  return all;
}

let written = 0, read = 0;

for (const vector of vectors.mux) {
  test(vector.name, () => {
    const frame = unhex(vector.bytes);
    if (vector.from !== 'server') {
      assert.equal(hex(write[vector.op](vector)), hex(frame));
      written++;
    }
    if (vector.op === 'bundle') {
      assert.deepEqual(parse(frame), vector.frames.flatMap((one) => parse(unhex(one))));
    } else if (vector.from !== 'client') {
      const [got] = parse(frame);
      assert.deepEqual([got.op, got.numbers], [vector.op, numbers(vector)]);
      if (vector.messages) {
        const found = vector.positions && [];
        assert.deepEqual(parseMessages(got.rest, limits, found).map((all) => all.map(hex)), vector.messages);
        assert.deepEqual(found?.map(hex), marks(vector));
      } else assert.deepEqual(got.rest, rest(vector));
      read++;
    }
  });
}

for (const { name, bytes: data } of vectors.mux_invalid) {
  test(`refuses ${name}`, () => {
    assert.throws(() => {
      for (const { op, rest } of parse(unhex(data))) parseMessages(rest, limits, op === 'marked' ? [] : undefined);
    }, { code: 1002 });
  });
}

test('finds the vectors', () => assert.ok(written >= 10 && read >= 10 && vectors.mux_invalid.length >= 10));
