// A relay of the server over a Mux: the socket logs in to the backend itself, and the bridge
// passes the frames through.
// SPDX-License-Identifier: MPL-2.0

import { Channel } from './channel.js';
import { command } from './command.js';
import { Connection } from './connection.js';
import { EXPIRED } from './errors.js';
import { COMMAND, encode } from './frame.js';
import { relay as request } from './muxframe.js';

const OVERHEAD = 16 << 10; // bytes by which a command, or a message in its box, may exceed maxMessageSize

/** A channel whose messages have one frame each, which is a frame of ZWS 2.0. */
class RelayChannel extends Channel {
  _request = request;
  _answer = 'relayed';

  receive(frame) {
    if (frame.op === 'relayed') this.minor = frame.numbers[2];
    super.receive(frame);
  }
}

/** Makes a channel look like a WebSocket to a Connection, which reconnects by itself. */
class RelaySocket {
  readyState = 0;
  #channel;

  constructor(mux, url, path, protocol, options, disconnect) {
    const maxMessageSize = options.maxMessageSize + OVERHEAD, mechanism = protocol.replace('ZWS2.0+', '');
    this.protocol = protocol;
    this.disconnect = disconnect;
    this.#channel = mux._add(new RelayChannel(mux, url, path, this, { ...options, history: false, maxMessageSize, maxFrames: 1, mechanism }));
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

  // Called by the channel, as those of a Socket.

  /** Opens, with the GREETING that a WebSocket to a relay begins with. */
  _ready({ minor }) {
    this.readyState = 1;
    this.onopen();
    this._received(this, [encode(COMMAND, command('GREETING', [minor]))]);
  }

  _received(_, [frame]) {
    this.onmessage({ data: frame.slice().buffer });
    return false; // already consumed
  }

  /** Reports an expired login of the Mux as a loss, because the Mux may get a newer token. */
  _disconnected(channel, { code, reason }) {
    this._refused(channel, { code: code === EXPIRED ? 1006 : code, reason });
  }

  _refused(_, { code, reason }) {
    this.close();
    this.onclose({ code, reason });
  }

  _notify() {}

  _writable() {}
}

/** Returns what a socket connects to for a relay of the server. */
export function relay(mux, path) {
  const url = mux._url(path), route = { url, relay: true, _open };

  function _open(socket, options, login) {
    mux._assertOpen();
    /** Connection calls it with new. */
    function WebSocket(_, [protocol]) {
      return new RelaySocket(mux, url, path, protocol, options, () => socket.disconnect(route));
    }
    return new Connection(url, login, socket, { ...options, WebSocket }, true);
  }
  return route;
}
