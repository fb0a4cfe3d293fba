// Does with the browser's client what a test orders, in a page, in a worker or in Node.
// It is given the module and a function that takes events.

const text = (frames) => frames.map((frame) => Array.from(frame, (octet) => String.fromCharCode(octet)).join(""))
const octets = (frames) => frames.map((frame) => Uint8Array.from(frame, (c) => c.charCodeAt(0)))

const credentials = {
  PLAIN: (zws, { username, password }) => zws.plain(username, password),
  CURVE: (zws, { keys }) => zws.curve(keys),
  // One token after the other; the last is for ever.
  BEARER: (zws, { tokens }) => zws.bearer(async () => (tokens.length > 1 ? tokens.shift() : tokens[0])),
}

const events = ["ready", "recovered", "disconnect", "refused", "lost", "expiring", "renewed"]
const classes = { SUB: "Sub", XSUB: "XSub", DEALER: "Dealer", REQ: "Req", PUSH: "Push", PULL: "Pull", PAIR: "Pair" }

export function driver(zws, say, more = {}) {
  const sockets = new Map()

  async function read(socket, sock) {
    try {
      for await (const message of sock) say({ socket, event: "message", frames: text(message) })
    } catch ({ code, reason }) {
      say({ socket, event: "ended", code, reason })
    }
  }

  return {
    open({ socket, type, connect, subscribe = [], options }) {
      const login = credentials[options.mechanism]?.(zws, options)
      const sock = new zws[classes[type]]({ reconnectInterval: 20, reconnectMaxInterval: 200, ...(login && { login }), ...more })
      sockets.set(socket, sock)
      for (const name of events) {
        sock.events.on(name, ({ code, reason, status }) => say({ socket, event: name, code, reason, status }))
      }
      if (subscribe.length) sock.subscribe(...subscribe)
      for (const url of connect.split(" ")) sock.connect(url)
      // A Req may receive only what it has asked for.
      if (sock.receive && type !== "REQ") read(socket, sock)
      say({ socket, event: "open" })
    },

    async send({ socket, frames }) {
      const sock = sockets.get(socket)
      await sock.send(octets(frames))
      if (sock.type === "REQ") say({ socket, event: "message", frames: text(await sock.receive()) })
    },

    close({ socket }) {
      sockets.get(socket).close()
      say({ socket, event: "closed" })
    },
  }
}
