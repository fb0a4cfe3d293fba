// The client's side of CURVE (25/ZMTP-CURVE, whose commands are those of 26/CURVEZMQ), and
// the only module that needs cryptography. SPDX-License-Identifier: MPL-2.0
//
// Keys have the names of the specification: C and S are the long-term public keys of
// client and server, C' and S' the transient ones.

import { command, metadata } from './command.js';
import { ProtocolError, RefusedError } from './errors.js';
import { COMMAND, LAST, MORE, concat, encode, equal, octets } from './frame.js';
import { Handshake } from './mechanism.js';
import nacl from './nacl.js';
import { decodeKey, encodeKey } from './z85.js';

const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const MESSAGE = octets('\x07MESSAGE');
const OVERHEAD = MESSAGE.length + 8 + 16 + 1;
const WELCOME_SIZE = 160, READY_SIZE = 24; // the least that READY has

// With a public key of low order every secret key agrees on this shared key.
const WEAK = nacl.box.before(new Uint8Array(32), new Uint8Array(32));

function agree(publicKey, secretKey) {
  const shared = nacl.box.before(publicKey, secretKey);
  if (equal(shared, WEAK)) throw new ProtocolError('CURVE: public key of low order');
  return shared;
}

/** Nonce and box of message, as every command has them. */
function seal(message, prefix, nonce, shared) {
  return concat(nonce, nacl.secretbox(message, concat(octets(prefix), nonce), shared));
}

function unseal(data, prefix, shared) {
  const size = 24 - prefix.length;
  const message = nacl.secretbox.open(data.subarray(size), concat(octets(prefix), data.subarray(0, size)), shared);
  if (!message) throw new ProtocolError(`CURVE: the box of ${prefix.replace(/^CurveZMQ|-+$/g, '')} does not open`);
  return message;
}

function counter(n) {
  const nonce = new DataView(new ArrayBuffer(8));
  nonce.setBigUint64(0, BigInt(n));
  return new Uint8Array(nonce.buffer);
}

const bigint = (data) => new DataView(data.buffer, data.byteOffset).getBigUint64(0);

export function keyPair() {
  const { publicKey, secretKey } = nacl.box.keyPair.fromSecretKey(random(32));
  return { publicKey: encodeKey(publicKey), secretKey: encodeKey(secretKey) };
}

/** HELLO →, ← WELCOME, INITIATE →, ← READY; then every frame travels in a MESSAGE. */
export class Curve extends Handshake {
  #keys;
  #properties;
  #random;
  #transient;
  #shared;
  #sent = 2; // HELLO has nonce 1, INITIATE 2
  #received = 0n;

  /** entropy gives so many random octets; tests have their own. */
  constructor(properties, { serverKey, publicKey, secretKey }, entropy = random) {
    super();
    this.#keys = {
      server: decodeKey(serverKey, 'serverKey'),
      public: decodeKey(publicKey, 'publicKey'),
      secret: decodeKey(secretKey, 'secretKey'),
    };
    if (!equal(nacl.box.keyPair.fromSecretKey(this.#keys.secret).publicKey, this.#keys.public)) {
      throw new RefusedError(4400, 'secretKey does not belong to publicKey');
    }
    this.#properties = properties;
    this.#random = entropy;
    this.expect(
      ['WELCOME', (data) => this.#initiate(data)],
      ['READY', (data) => this.#takeReady(data)],
    );
  }

  open() {
    this.#transient = nacl.box.keyPair.fromSecretKey(this.#random(32));
    this.#shared = agree(this.#keys.server, this.#transient.secretKey);
    const signature = seal(new Uint8Array(64), 'CurveZMQHELLO---', counter(1), this.#shared);
    return command('HELLO', [1, 0], new Uint8Array(72), this.#transient.publicKey, signature);
  }

  #initiate(data) {
    if (data.length !== WELCOME_SIZE) throw new ProtocolError('CURVE: WELCOME of the wrong size');
    const welcome = unseal(data, 'WELCOME-', this.#shared);
    const theirs = welcome.subarray(0, 32), cookie = welcome.subarray(32); // theirs: S'
    // Box [C',S](C->S'): the long-term key answers for the transient one.
    const vouch = seal(concat(this.#transient.publicKey, this.#keys.server), 'VOUCH---', this.#random(16),
      agree(theirs, this.#keys.secret));
    this.#shared = agree(theirs, this.#transient.secretKey);
    const login = concat(this.#keys.public, vouch, metadata(this.#properties));
    this.#keys = this.#transient = null; // from here on only the shared key is used
    return command('INITIATE', cookie, seal(login, 'CurveZMQINITIATE', counter(2), this.#shared));
  }

  #takeReady(data) {
    if (data.length < READY_SIZE) throw new ProtocolError('CURVE: READY is too short');
    this.takeReady(unseal(data, 'CurveZMQREADY---', this.#shared));
    this.#received = bigint(data);
  }

  // The flags are in the box; libzmq's for a command is 2 there as outside.
  encode(flag, body) {
    const nonce = counter(++this.#sent);
    return encode(LAST, concat(MESSAGE, seal(concat([flag], body), 'CurveZMQMESSAGEC', nonce, this.#shared)));
  }

  decode({ flag, body }) {
    if (flag === MORE || body.length < OVERHEAD || !equal(body.subarray(0, 8), MESSAGE)) {
      throw new ProtocolError('CURVE: a frame that is not a MESSAGE');
    }
    const nonce = bigint(body.subarray(8));
    if (nonce <= this.#received) throw new ProtocolError('CURVE: a MESSAGE that is replayed or out of order');
    const payload = unseal(body.subarray(8), 'CurveZMQMESSAGES', this.#shared);
    if (payload[0] > COMMAND) throw new ProtocolError('CURVE: a MESSAGE with unknown flags');
    this.#received = nonce;
    return { flag: payload[0], body: payload.subarray(1) };
  }
}
