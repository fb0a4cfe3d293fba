// The client side of CURVE (25/ZMTP-CURVE and 26/CURVEZMQ), the only module that needs
// cryptography. SPDX-License-Identifier: MPL-2.0
//
// Comments name keys as the specification does: C and S are the long-term public keys of
// client and server, C' and S' the transient ones.

import { command, metadata } from './command.js';
import { ProtocolError, RefusedError } from './errors.js';
import { COMMAND, LAST, MORE, concat, encode, equal, toBytes } from './frame.js';
import { Handshake } from './mechanism.js';
import nacl from './nacl.js';
import { decodeKey, encodeKey } from './z85.js';

const randomBytes = (size) => crypto.getRandomValues(new Uint8Array(size));
const MESSAGE = toBytes('\x07MESSAGE');
const OVERHEAD = MESSAGE.length + 8 + 16 + 1; // nonce, box, flags
const WELCOME_SIZE = 160, MIN_READY_SIZE = 24;

// Every secret key computes this shared key from a public key of low order.
const WEAK = nacl.box.before(new Uint8Array(32), new Uint8Array(32));

function sharedKey(publicKey, secretKey) {
  const shared = nacl.box.before(publicKey, secretKey);
  if (equal(shared, WEAK)) throw new ProtocolError('CURVE: public key of low order');
  return shared;
}

/** Returns the nonce and the box of message, in the layout of every CURVE command. */
function seal(message, prefix, nonce, shared) {
  return concat(nonce, nacl.secretbox(message, concat(toBytes(prefix), nonce), shared));
}

function unseal(data, prefix, shared) {
  const size = 24 - prefix.length;
  const message = nacl.secretbox.open(data.subarray(size), concat(toBytes(prefix), data.subarray(0, size)), shared);
  if (!message) throw new ProtocolError(`CURVE: cannot open the box of ${prefix.replace(/^CurveZMQ|-+$/g, '')}`);
  return message;
}

function counter(n) {
  const nonce = new DataView(new ArrayBuffer(8));
  nonce.setBigUint64(0, BigInt(n));
  return new Uint8Array(nonce.buffer);
}

const readCounter = (data) => new DataView(data.buffer, data.byteOffset).getBigUint64(0);

export function keyPair() {
  const { publicKey, secretKey } = nacl.box.keyPair.fromSecretKey(randomBytes(32));
  return { publicKey: encodeKey(publicKey), secretKey: encodeKey(secretKey) };
}

/** HELLO →, ← WELCOME, INITIATE →, ← READY; then every frame is in a MESSAGE. */
export class Curve extends Handshake {
  #keys;
  #properties;
  #random;
  #transient;
  #shared;
  #sent = 2; // the last nonce: HELLO has 1, INITIATE 2
  #received = 0n;

  /** random(size) returns random bytes; tests pass a deterministic one. */
  constructor(properties, { serverKey, publicKey, secretKey }, random = randomBytes) {
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
    this.#random = random;
    this.expect(
      ['WELCOME', (data) => this.#initiate(data)],
      ['READY', (data) => this.#openReady(data)],
    );
  }

  open() {
    this.#transient = nacl.box.keyPair.fromSecretKey(this.#random(32));
    this.#shared = sharedKey(this.#keys.server, this.#transient.secretKey);
    const signature = seal(new Uint8Array(64), 'CurveZMQHELLO---', counter(1), this.#shared);
    return command('HELLO', [1, 0], new Uint8Array(72), this.#transient.publicKey, signature);
  }

  #initiate(data) {
    if (data.length !== WELCOME_SIZE) throw new ProtocolError(`CURVE: WELCOME of ${data.length} bytes, want ${WELCOME_SIZE}`);
    const welcome = unseal(data, 'WELCOME-', this.#shared);
    const serverTransient = welcome.subarray(0, 32), cookie = welcome.subarray(32); // S'
    // Box [C',S](C->S'): the long-term key vouches for the transient one.
    const vouch = seal(concat(this.#transient.publicKey, this.#keys.server), 'VOUCH---', this.#random(16),
      sharedKey(serverTransient, this.#keys.secret));
    this.#shared = sharedKey(serverTransient, this.#transient.secretKey);
    const login = concat(this.#keys.public, vouch, metadata(this.#properties));
    this.#keys = this.#transient = null; // only the shared key is needed from here on
    return command('INITIATE', cookie, seal(login, 'CurveZMQINITIATE', counter(2), this.#shared));
  }

  #openReady(data) {
    if (data.length < MIN_READY_SIZE) throw new ProtocolError(`CURVE: READY of ${data.length} bytes, want at least ${MIN_READY_SIZE}`);
    this.takeReady(unseal(data, 'CurveZMQREADY---', this.#shared));
    this.#received = readCounter(data);
  }

  // The flags are inside the box. libzmq uses 2 for a command there too.
  encode(flag, body) {
    const nonce = counter(++this.#sent);
    return encode(LAST, concat(MESSAGE, seal(concat([flag], body), 'CurveZMQMESSAGEC', nonce, this.#shared)));
  }

  decode({ flag, body }) {
    if (flag === MORE || body.length < OVERHEAD || !equal(body.subarray(0, 8), MESSAGE)) {
      throw new ProtocolError('CURVE: unexpected frame, want a MESSAGE');
    }
    const nonce = readCounter(body.subarray(8));
    if (nonce <= this.#received) throw new ProtocolError('CURVE: MESSAGE replayed or out of order');
    const payload = unseal(body.subarray(8), 'CurveZMQMESSAGES', this.#shared);
    if (payload[0] > COMMAND) throw new ProtocolError(`CURVE: MESSAGE with unknown flags ${payload[0]}`);
    this.#received = nonce;
    return { flag: payload[0], body: payload.subarray(1) };
  }
}
