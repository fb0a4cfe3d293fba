// A connection of its own to one URL, in the subprotocol that the server chooses.
// SPDX-License-Identifier: MPL-2.0

import { Frames } from './frames.js';
import { Link } from './link.js';
import { Single } from './single.js';

const MULTIPLEXED = 'ZWSMUX1.0';

/**
 * Calls its owner's _received and _notify, and what Link calls. It offers ZWSMUX1.0 first, which
 * has many messages in one of the WebSocket and flow control, and ZWS 2.0 for other servers.
 * CURVE needs ZWS 2.0, and so does a login to the backend behind a relay.
 */
export class Connection extends Link {
  /** Set while the server has flow control: notes that the application has read a message. */
  _consumed;
  #mechanism;
  #options;
  #dialect; // of the current WebSocket
  #single; // outlives the WebSocket, because messages stay unread

  constructor(url, credentials, owner, options, relayed = false) {
    const { type, routingId, history, queue } = options, properties = [['Socket-Type', type], ['Notices', '1']];
    if (routingId.length) properties.push(['Identity', routingId]);
    if (history) properties.push(['History', '1']);
    if (queue !== undefined) properties.push(['Queue', queue]);
    const { mechanism } = credentials, protocols = [`ZWS2.0+${mechanism}`];
    if (mechanism !== 'CURVE' && !relayed) protocols.unshift(MULTIPLEXED);
    super(url, protocols, credentials, properties, owner, options);
    this.#mechanism = mechanism;
    this.#options = options;
    this._open();
  }

  get writable() {
    return super.writable && this.#dialect.writable;
  }

  get bufferedAmount() {
    return super.bufferedAmount + (this.#dialect?.bufferedAmount ?? 0);
  }

  /** The ZMTP version of the peer behind a relay, such as '3.1'. */
  get zmtp() {
    return this.#dialect?.zmtp;
  }

  /** Whether the server keeps a history for the socket. */
  get history() {
    return this.#dialect.history;
  }

  /** Sends all frames of one message. The owner calls it only while the connection is ready. */
  send(frames) {
    this.#dialect.send(frames);
  }

  /** Sends a command between messages. The owner calls it only while the connection is ready. */
  command(name, ...data) {
    this.#dialect.command(name, ...data);
  }

  _chosen(protocol) {
    const multiplexed = protocol === MULTIPLEXED;
    this.#single = multiplexed ? this.#single ?? new Single(this, this.#mechanism, this.#options) : undefined;
    this.#dialect = this.#single ?? new Frames(this, this.#options);
    this._consumed = multiplexed ? () => this.#single?.consumed() : undefined;
  }

  /** Handles the answer to Single's request. */
  _answered(flag) {
    this.#dialect.history = flag === 1;
    this._loggedIn();
    this.#dialect?.opened(); // unless a handler of the event has closed the socket
  }

  _greeting() {
    return this.#dialect.greeting();
  }

  _renewal(token) {
    return this.#dialect.renewal(token);
  }

  _ping(context) {
    return this.#dialect.ping(context);
  }

  _message(data) {
    this.#dialect.message(data);
  }

  _ended(code, reason) {
    super._ended(...this.#dialect?.ended(code, reason) ?? [code, reason]);
  }

  _drop() {
    this.#dialect?.end();
    super._drop();
    this.#dialect = undefined;
  }
}
