// The client side of NULL (23/ZMTP), PLAIN (24/ZMTP-PLAIN) and BEARER (zws/PROTOCOL.md: PLAIN
// with a token in HELLO). SPDX-License-Identifier: MPL-2.0

import { command, metadata, parseMetadata, short } from './command.js';
import { ProtocolError } from './errors.js';
import { encode, toBytes } from './frame.js';

/**
 * One handshake. open() returns the first command; next() takes a command of the server and
 * returns the answer, if there is one. Once ready is set, encode() and decode() convert all
 * further frames.
 */
export class Handshake {
  ready = false;
  /** The server's metadata. */
  peer = new Map();
  #steps = [];

  /** Sets the commands that the server sends, in order, each with a function that returns the answer. */
  expect(...steps) {
    this.#steps = steps;
  }

  next({ name, data }) {
    const [expected, answer] = this.#steps.shift() ?? [];
    if (name !== expected) throw new ProtocolError(`unexpected command ${name}, want ${expected ?? 'none'}`);
    const out = answer(data);
    this.ready = !this.#steps.length;
    return out;
  }

  /** Handles READY, the last command of every handshake. */
  takeReady(data) {
    this.peer = parseMetadata(data);
  }

  encode(flag, body) {
    return encode(flag, body);
  }

  decode(frame) {
    return frame;
  }
}

export class Null extends Handshake {
  constructor(properties) {
    super();
    this.open = () => command('READY', metadata(properties));
    this.expect(['READY', (data) => this.takeReady(data)]);
  }
}

/** PLAIN and BEARER: HELLO →, ← WELCOME, INITIATE →, ← READY. */
export class Plain extends Handshake {
  constructor(properties, hello) {
    super();
    this.open = () => command('HELLO', hello);
    this.expect(
      ['WELCOME', (data) => this.#initiate(data, properties)],
      ['READY', (data) => this.takeReady(data)],
    );
  }

  #initiate(data, properties) {
    if (data.length) throw new ProtocolError('malformed WELCOME: want no data');
    return command('INITIATE', metadata(properties));
  }
}

export class Bearer extends Plain {
  #token;

  constructor(properties, token) {
    super(properties, toBytes(token));
    this.#token = token;
  }

  hasToken(token) {
    return token === this.#token;
  }

  /** Returns the command that renews the login with another token. */
  renew(token) {
    this.#token = token;
    return command('HELLO', toBytes(token));
  }
}

export const plainHello = (user, password) => [short(user, 'user name'), short(password, 'password')];
