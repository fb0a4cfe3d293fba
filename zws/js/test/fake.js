// A fake WebSocket class for the option WebSocket. The test plays the server.

import { Sub } from '../zws.js';
import { command, metadata, parseCommand } from '../zws/command.js';
import { COMMAND, LAST, MORE, encode, parse, toText } from '../zws/frame.js';
import { CONNECTION_EVENTS } from '../zws/events.js';

export { command, metadata };

export const URL = 'wss://host/devices';

/**
 * Returns a WebSocket class and the list of its instances. read parses the messages that an
 * instance collects in sent.
 */
export function network(read = parse) {
  const opened = [];
  class WebSocket {
    readyState = 0;
    bufferedAmount = 0;
    protocol = '';
    sent = [];
    closedWith;

    constructor(url, protocols) {
      if (url.includes('forbidden')) throw new DOMException('mixed content', 'SecurityError');
      this.url = url;
      this.protocols = protocols;
      opened.push(this);
    }

    send(message) {
      if (this.readyState === 0) throw new DOMException('still connecting', 'InvalidStateError');
      if (this.readyState === 1) this.sent.push(read(message.slice().buffer));
    }

    close(code) {
      if (code !== 1000) throw new DOMException('a page can only close with 1000', 'InvalidAccessError');
      this.closedWith ??= code;
      this.readyState = 2;
    }

    // Actions of the server.

    open(protocol = this.protocols.at(-1)) {
      this.protocol = protocol;
      this.readyState = 1;
      this.onopen();
      return this;
    }

    deliver(flag, body) {
      this.onmessage({ data: encode(flag, body).buffer });
    }

    command(name, ...data) {
      this.deliver(COMMAND, command(name, ...data));
    }

    message(...frames) {
      frames.forEach((frame, i) => this.deliver(i < frames.length - 1 ? MORE : LAST, new TextEncoder().encode(frame)));
    }

    /** Opens and answers a NULL login. */
    login(type) {
      this.open().command('READY', metadata([['Socket-Type', type]]));
      return this;
    }

    /** A failed attempt in Node 22: error without close, and readyState stays 0. */
    fail() {
      this.onerror({ type: 'error' });
    }

    lose(code = 1006, reason = '') {
      this.readyState = 3;
      this.onclose({ code, reason });
    }

    /** The names of the commands sent by the client. */
    get commands() {
      return this.sent.filter(({ flag }) => flag === COMMAND).map(({ body }) => parseCommand(body).name);
    }

    /** The messages sent by the client, as text. */
    get messages() {
      const all = [[]];
      for (const { flag, body } of this.sent.filter((frame) => frame.flag !== COMMAND)) {
        all.at(-1).push(toText(body));
        if (flag === LAST) all.push([]);
      }
      return all.slice(0, -1);
    }
  }
  return { WebSocket, opened };
}

/** Runs pending promise callbacks. */
export async function settle() {
  for (let i = 0; i < 20; i++) await null;
}

/** Returns a list that collects the events of a socket. */
export function record(socket, names = [...CONNECTION_EVENTS, 'lost', 'unsubscribed']) {
  const events = [];
  for (const name of names) {
    socket.events.on(name, ({ url, ...event }) => events.push([name, event]));
  }
  return events;
}

/** Returns a socket that has begun to connect. */
export async function begin(options = {}, Type = Sub) {
  const { WebSocket, opened } = network();
  const socket = new Type({ WebSocket, ...options });
  const events = record(socket);
  const ready = socket.connect(URL);
  await settle();
  return { socket, events, opened, ready, ws: opened[0] };
}
