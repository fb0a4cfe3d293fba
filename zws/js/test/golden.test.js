// Replays the flows recorded between libzmq and the Go client (zws/zmtp/testdata). With the
// same keys and random bytes this client must send the same bytes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';

import { metadata, parseCommand, parseStatus } from '../zws/command.js';
import { Curve } from '../zws/curve.js';
import { LAST, MORE, concat, toBytes, toText } from '../zws/frame.js';
import { Null, Plain, plainHello } from '../zws/mechanism.js';
import nacl from '../zws/nacl.js';

const directory = new URL('../../zmtp/testdata/golden/', import.meta.url);
const properties = [['Socket-Type', 'DEALER'], ['Identity', 'panel-1']];

/** Returns golden_test.go's stream of bytes: SHA-256 over label, ":" and a counter. */
function randomness(label) {
  let rest = Buffer.alloc(0), n = 0;
  return (size) => {
    while (rest.length < size) rest = Buffer.concat([rest, createHash('sha256').update(`${label}:${n++}`).digest()]);
    const taken = rest.subarray(0, size);
    rest = rest.subarray(size);
    return new Uint8Array(taken);
  };
}

const keyPair = (name) => nacl.box.keyPair.fromSecretKey(randomness(`key ${name}`)(32));

/** Returns the frames of a recording after the greetings, without ZMTP's header: [sender, flags, body]. */
function frames(name) {
  const lines = readFileSync(new URL(name, directory), 'utf8').trim().split('\n').filter((line) => !line.startsWith('#'));
  const all = [];
  for (const line of lines.slice(2)) {
    const [sender, data] = line.split(' ');
    if (data === 'closed') continue;
    for (let rest = Buffer.from(data, 'hex'); rest.length;) {
      const long = rest[0] & 2, start = long ? 9 : 2;
      const size = long ? Number(rest.readBigUInt64BE(1)) : rest[1];
      all.push([sender, rest[0] & ~2, new Uint8Array(rest.subarray(start, start + size))]);
      rest = rest.subarray(start + size);
    }
  }
  return all;
}

function side(name) {
  if (name.startsWith('null')) return new Null(properties);
  if (name.startsWith('plain')) return new Plain(properties, concat(...plainHello('anna', 'geheim-7!')));
  const { publicKey, secretKey } = keyPair('client');
  const server = keyPair(name.includes('wrong') ? 'other server' : 'server');
  return new Curve(properties, { serverKey: server.publicKey, publicKey, secretKey }, randomness(name.replace('.txt', '')));
}

const flows = readdirSync(directory).filter((name) => /^(null|plain|curve)-client/.test(name));

test('finds the recordings', () => assert.ok(flows.length >= 8));

for (const name of flows) {
  test(name, () => {
    const handshake = side(name);
    let next = handshake.open(), status = 0;
    const sent = [[MORE, 'state'], [LAST, 'on']], received = [];
    for (const [sender, flags, body] of frames(name)) {
      const isCommand = flags === 4;
      if (sender === 'we' && isCommand) {
        assert.deepEqual(next, body);
        next = undefined;
      } else if (sender === 'we') {
        const [flag, content] = sent.shift();
        // ZWS frames differ from ZMTP frames in the header only.
        assert.deepEqual(handshake.encode(flag, toBytes(content)).subarray(1), body);
      } else if (isCommand) {
        const { name: command, data } = parseCommand(body);
        if (command === 'ERROR') status = parseStatus(data);
        else next = handshake.next({ name: command, data });
      } else {
        const frame = handshake.decode({ flag: flags, body });
        received.push([frame.flag, toText(frame.body)]);
      }
    }
    assert.equal(next === undefined || name.includes('wrong'), true);
    const refused = /refused(-(\d+))?/.exec(name);
    if (refused) assert.equal(status, Number(refused[2] ?? 400));
    else if (name.includes('wrong')) assert.equal(handshake.ready, false);
    else {
      assert.deepEqual(received, [[MORE, 'state'], [LAST, 'on']]);
      assert.equal(toText(handshake.peer.get('socket-type')), 'ROUTER');
    }
  });
}

test('encodes metadata as recorded', () => {
  const [, , body] = frames('null-client.txt')[0];
  assert.deepEqual(body.subarray(6), metadata(properties));
});
