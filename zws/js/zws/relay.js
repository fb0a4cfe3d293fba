// A relay of the server over a Mux: the socket logs in with who is behind it, and what the
// two say passes through unread.
// SPDX-License-Identifier: MPL-2.0

import { Channel } from './channel.js';
import { command } from './command.js';
import { Connection } from './connection.js';
import { EXPIRED } from './errors.js';
import { COMMAND, encode } from './frame.js';
import { relay as request } from './muxframe.js';

const BEYOND = 16 << 10; // octets that a command, or what a mechanism adds, may have beyond a message

/** Each message has one frame, which is one of ZWS 2.0. */
class RelayChannel extends Channel {
  _request = request;
  _answer = 'relayed';

  take(frame) {
    if (frame.op === 'relayed') this.minor = frame.numbers[2];
    super.take(frame);
  }
}

/** A channel as the WebSocket of a Connection, which tries again by itself. */
class RelaySocket {
  readyState = 0;
  #channel;

  constructor(mux, url, path, protocol, options, disconnect) {
    const maxMessageSize = options.maxMessageSize + BEYOND, mechanism = protocol.replace('ZWS2.0+', '');
    this.protocol = protocol;
    this.disconnect = disconnect;
    this.#channel = mux._add(new RelayChannel(mux, url, path, this, { ...options, maxMessageSize, maxFrames: 1, mechanism }));
  }

  get bufferedAmount() {
    return this.#channel.bufferedAmount;
  }

  send(frame) {
    this.#channel.send([frame]);
  }

  close() {
    this.readyState = 3;
    this.#channel.close();
  }

  // What the channel tells, as it does to a Socket.

  /** The Connection hears what it would on a WebSocket of its own. */
  _ready({ minor }) {
    this.readyState = 1;
    this.onopen();
    this._arrived(this, [encode(COMMAND, command('GREETING', [minor]))]);
  }

  _arrived(_, [frame]) {
    this.onmessage({ data: frame.slice().buffer });
    return false; // it is read already
  }

  /** Where the login on the Mux has expired, it may have a newer token. */
  _parted(channel, { code, reason }) {
    this._refused(channel, { code: code === EXPIRED ? 1006 : code, reason });
  }

  _refused(_, { code, reason }) {
    this.close();
    this.onclose({ code, reason });
  }

  _notice() {}

  _writable() {}
}

/** What a socket connects to for a relay of the server. */
export function relay(mux, path) {
  const url = mux._url(path), route = { url, relay: true, _open };

  function _open(socket, options, login) {
    mux._assertOpen();
    /** The Connection calls it with new. */
    function WebSocket(_, [protocol]) {
      return new RelaySocket(mux, url, path, protocol, options, () => socket.disconnect(route));
    }
    return new Connection(url, login, socket, { ...options, WebSocket });
  }
  return route;
}
