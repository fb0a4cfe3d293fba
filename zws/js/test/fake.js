// A WebSocket whose server is the test, and the octets of a server. It stands in for the
// class that a socket is given.

import { command, metadata, parseCommand } from '../zws/command.js';
import { COMMAND, LAST, MORE, encode, parse, text } from '../zws/frame.js';
import { CONNECTION_EVENTS } from '../zws/socket.js';

export { command, metadata };

/**
 * Makes a class of WebSockets, and the list of all that were made of it. read makes of a
 * message what is found in sent.
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
      if (code !== 1000) throw new DOMException('a page may not close so', 'InvalidAccessError');
      this.closedWith ??= code;
      this.readyState = 2;
    }

    // What the server does.

    open(protocol = this.protocols[0]) {
      this.protocol = protocol;
      this.readyState = 1;
      this.onopen();
      return this;
    }

    deliver(flag, body) {
      this.onmessage({ data: encode(flag, body).buffer });
    }

    tell(name, ...data) {
      this.deliver(COMMAND, command(name, ...data));
    }

    message(...frames) {
      frames.forEach((frame, i) => this.deliver(i < frames.length - 1 ? MORE : LAST, new TextEncoder().encode(frame)));
    }

    /** Opens and answers a login by NULL. */
    login(type) {
      this.open().tell('READY', metadata([['Socket-Type', type]]));
      return this;
    }

    lose(code = 1006, reason = '') {
      this.readyState = 3;
      this.onclose({ code, reason });
    }

    /** The names of the commands that the client has sent. */
    get commands() {
      return this.sent.filter(({ flag }) => flag === COMMAND).map(({ body }) => parseCommand(body).name);
    }

    /** The messages that the client has sent, as text. */
    get messages() {
      const all = [[]];
      for (const { flag, body } of this.sent.filter((frame) => frame.flag !== COMMAND)) {
        all.at(-1).push(text(body));
        if (flag === LAST) all.push([]);
      }
      return all.slice(0, -1);
    }
  }
  return { WebSocket, opened };
}

/** Lets everything go on that waits for a promise and for nothing else. */
export async function settle() {
  for (let i = 0; i < 20; i++) await null;
}

/** Writes down the events of a socket. */
export function record(socket, names = [...CONNECTION_EVENTS, 'lost', 'unsubscribed']) {
  const events = [];
  for (const name of names) {
    socket.events.on(name, ({ url, ...event }) => events.push([name, event]));
  }
  return events;
}
