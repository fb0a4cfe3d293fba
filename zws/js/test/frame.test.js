// Encoding and parsing of frames, commands and keys.

import assert from 'node:assert/strict';
import test from 'node:test';

import { command, metadata, parseCommand, parseMetadata, parseNumber, parseStatus } from '../zws/command.js';
import { Frame, encode, toBytes, parse, toText } from '../zws/frame.js';
import { decodeKey, encodeKey } from '../zws/z85.js';
import { Bearer, plainHello } from '../zws/mechanism.js';
import { plain } from '../zws.js';

const hex = (data) => Buffer.from(data).toString('hex');
const bytes = (text) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

test('a frame is a flag byte and a body', () => {
  assert.equal(hex(encode(1, toBytes('é'))), '01c3a9');
  for (const flag of [0, 1, 2]) assert.deepEqual(parse(encode(flag, toBytes('x')).buffer), { flag, body: toBytes('x') });
  assert.deepEqual(parse(bytes('00').buffer).body, new Uint8Array());
  assert.throws(() => parse(new ArrayBuffer(0)), { code: 1002 });
  for (const flag of [3, 4, 0x30, 0xFF]) assert.throws(() => parse(encode(flag, []).buffer), { code: 1002 });
  assert.throws(() => parse('text'), { code: 1003 });
});

test('copies data to send', () => {
  const mine = new Uint8Array([1, 2, 3]);
  for (const given of [mine, mine.buffer, new DataView(mine.buffer)]) {
    const taken = toBytes(given);
    mine[0]++;
    assert.notEqual(taken[0], mine[0]);
    assert.equal(taken.length, 3);
  }
  assert.deepEqual(toBytes(mine.subarray(1, 2)), new Uint8Array([2]));
  for (const wrong of [1, null, undefined, {}, ['a']]) assert.throws(() => toBytes(wrong), TypeError);
});

test('a received frame is bytes and text', () => {
  const frame = new Frame(toBytes('21.5 °C'));
  assert.equal(`${frame}`, '21.5 °C');
  assert.equal(frame.subarray(0, 4) instanceof Uint8Array, true);
  assert.equal(frame.subarray(0, 4) instanceof Frame, false);
});

test('commands', () => {
  assert.equal(hex(command('HELLO', [1], [2, 3])), '0548454c4c4f010203');
  assert.deepEqual(parseCommand(bytes('05 5245414459 aabb')), { name: 'READY', data: bytes('aabb') });
  assert.deepEqual(parseCommand(toBytes('^RROR\x03400')), { name: 'ERROR', data: toBytes('\x03400') });
  for (const wrong of ['', '00', '0141 ff'.slice(0, 2), '0548454c4c', '0531323334 35', '0220 41']) {
    assert.throws(() => parseCommand(bytes(wrong)), { code: 1002 }, wrong);
  }
});

test('status of ERROR', () => {
  for (const status of [300, 400, 500]) assert.equal(parseStatus(toBytes(`\x03${status}`)), status);
  assert.equal(parseStatus(toBytes('\x04nope')), 400);
  assert.equal(parseStatus(toBytes('\x00')), 400);
  for (const wrong of ['', '\x03', '\x0340', '\x034000']) assert.throws(() => parseStatus(toBytes(wrong)), { code: 1002 });
});

test('metadata', () => {
  assert.equal(hex(metadata([['Socket-Type', 'SUB']])), '0b536f636b65742d5479706500000003535542');
  const wire = metadata([['Socket-Type', 'PUB'], ['socket-type', 'late'], ['Identity', new Uint8Array([0, 255])]]);
  const parsed = parseMetadata(wire);
  assert.equal(toText(parsed.get('socket-type')), 'PUB');
  assert.deepEqual(parsed.get('identity'), new Uint8Array([0, 255]));
  for (const wrong of ['00', '01', '0141', '014100000001', '0141 ffffffff 00', '0141 000000']) {
    assert.throws(() => parseMetadata(bytes(wrong)), { code: 1002 }, wrong);
  }
  const many = Array.from({ length: 65 }, (_, i) => [`P${i}`, '']);
  assert.equal(parseMetadata(metadata(many.slice(0, 64))).size, 64);
  assert.throws(() => parseMetadata(metadata(many)), { code: 1002 });
});

test('numbers in notifications', () => {
  assert.equal(parseNumber(bytes('0000012c'), 4), 300);
  assert.equal(parseNumber(bytes('0000000100000000'), 8), 2 ** 32);
  assert.throws(() => parseNumber(bytes('00'), 4), { code: 1002 });
});

test('PLAIN and BEARER', () => {
  assert.equal(hex(plainHello('ann', '')[0]), '03616e6e');
  assert.throws(() => plain('a'.repeat(256), ''), RangeError);
  assert.throws(() => plain('', 'é'.repeat(128)), RangeError);
  plain('a'.repeat(255), 'b'.repeat(255));
  const token = 'x'.repeat(1000);
  assert.deepEqual(new Bearer([], token).open(), toBytes(`\x05HELLO${token}`));
});

test('credentials do not show their secrets', () => {
  for (const shown of [JSON.stringify, String, (value) => JSON.stringify(Object.entries(value))]) {
    assert.equal(shown(plain('ann', 'geheim')).includes('geheim'), false);
    assert.equal(shown(new Bearer([], 'geheim')).includes('geheim'), false);
  }
});

test('keys in Z85', () => {
  // from libzmq's manual page of zmq_curve_keypair
  const secret = 'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6';
  assert.equal(hex(decodeKey(secret, 'secretKey')), '8e0bdd697628b91d8f245587ee95c5b04d48963f79259877b49cd9063aead3b7');
  assert.equal(encodeKey(decodeKey(secret, 'secretKey')), secret);
  assert.deepEqual(decodeKey(new Uint8Array(32), 'k'), new Uint8Array(32));
  for (const wrong of ['', secret.slice(1), `${secret}0`, secret.replace('J', ' '), '#'.repeat(40), new Uint8Array(31), undefined]) {
    assert.throws(() => decodeKey(wrong, 'secretKey'), ({ name, message }) => name === 'RefusedError' && /secretKey/.test(message) &&
      !(wrong?.length > 10 && message.includes(String(wrong))));
  }
});
