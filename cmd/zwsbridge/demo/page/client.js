// One ZWS 2.0 connection from a browser, logged in by PLAIN (45/ZWS, 24/ZMTP-PLAIN).
// Just what the demo needs.

const MORE = 0x01, COMMAND = 0x02;
const encoder = new TextEncoder(), decoder = new TextDecoder();

/** Why a server ended a connection, or never let us in. */
export class Closed extends Error {
  constructor(code, reason) {
    super(`${code} ${reason || 'connection lost'}`);
    this.code = code;
    this.reason = reason;
  }
}

/**
 * Connects and logs in. Resolves once the server is READY, rejects with Closed.
 * onmessage gets every message as an array of Uint8Array, onclose a Closed.
 */
export function connect(url, { user, password, socketType, onmessage, onclose }) {
  // Browsers do not allow "/" in a subprotocol: "+" stands for it.
  const ws = new WebSocket(url, ['ZWS2.0+PLAIN']);
  ws.binaryType = 'arraybuffer';

  return new Promise((resolve, reject) => {
    let ready = false, refused = '', frames = [];
    const connection = {
      send: (...parts) => parts.forEach((part, i) => ws.send(frame(i < parts.length - 1 ? MORE : 0, bytes(part)))),
      subscribe: (topic) => ws.send(frame(0, concat([1], encoder.encode(topic)))),
      close: () => ws.close(1000),
    };

    ws.onopen = () => {
      if (ws.protocol !== 'ZWS2.0+PLAIN') return ws.close(1000);
      ws.send(command('HELLO', concat(short(user), short(password))));
    };
    ws.onmessage = ({ data }) => {
      const octets = new Uint8Array(data), body = octets.subarray(1);
      if (octets[0] & COMMAND) {
        const name = decoder.decode(body.subarray(1, 1 + body[0]));
        if (name === 'WELCOME') ws.send(command('INITIATE', property('Socket-Type', socketType)));
        if (name === 'READY') { ready = true; resolve(connection); }
        if (name === 'ERROR') refused = decoder.decode(body.subarray(2 + body[0]));
        return;
      }
      frames.push(body);
      if (octets[0] & MORE) return;
      onmessage?.(frames);
      frames = [];
    };
    ws.onclose = ({ code, reason }) => {
      const closed = new Closed(code, reason || (refused && `refused with ${refused}`));
      if (ready) onclose?.(closed);
      else reject(closed);
    };
  });
}

const bytes = (part) => typeof part === 'string' ? encoder.encode(part) : part;

function concat(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return all;
}

const frame = (flags, body) => concat([flags], body);

function short(text) {
  const octets = encoder.encode(text);
  if (octets.length > 255) throw new RangeError('user and password may have 255 octets');
  return concat([octets.length], octets);
}

const command = (name, data) => frame(COMMAND, concat(short(name), data));

function property(name, value) {
  const octets = encoder.encode(value), size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, octets.length);
  return concat(short(name), size, octets);
}
