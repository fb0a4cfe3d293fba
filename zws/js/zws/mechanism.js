// The client's side of NULL (23/ZMTP), PLAIN (24/ZMTP-PLAIN) and BEARER (which 45/ZWS
// names; it is PLAIN with a token in HELLO). SPDX-License-Identifier: MPL-2.0

import { command, metadata, parseMetadata, short } from './command.js';
import { ProtocolError } from './errors.js';
import { encode, octets } from './frame.js';

/**
 * One handshake. open() makes the first command; next() takes each command of the server
 * and makes the answer, if one is due. Once it is ready, encode() and decode() are for all
 * frames that follow.
 */
export class Handshake {
  ready = false;
  /** What the server told of itself. */
  peer = new Map();
  #steps = [];

  /** The server's commands in their order, each with what makes the answer. */
  expect(...steps) {
    this.#steps = steps;
  }

  next({ name, data }) {
    const [due, answer] = this.#steps.shift() ?? [];
    if (name !== due) throw new ProtocolError(`${name} where ${due ?? 'no command'} is due`);
    const out = answer(data);
    this.ready = !this.#steps.length;
    return out;
  }

  /** Ends every handshake. */
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
    if (data.length) throw new ProtocolError('WELCOME with data');
    return command('INITIATE', metadata(properties));
  }
}

export class Bearer extends Plain {
  #token;

  constructor(properties, token) {
    super(properties, octets(token));
    this.#token = token;
  }

  carries(token) {
    return token === this.#token;
  }

  /** The command that puts another token in the place of this one. */
  renew(token) {
    this.#token = token;
    return command('HELLO', octets(token));
  }
}

export const helloOfPlain = (user, password) => [short(user, 'a user name'), short(password, 'a password')];
