// Does with the browser's client what a test orders, in a page, in a worker or in Node.
// It is given the modules and a function that takes events.
import { jsonSocket } from "./json.js"

const text = (frames) => frames.map((frame) => Array.from(frame, (octet) => String.fromCharCode(octet)).join(""))
const octets = (frames) => frames.map((frame) => Uint8Array.from(frame, (c) => c.charCodeAt(0)))

const credentials = {
  PLAIN: (zws, { username, password }) => zws.plain(username, password),
  CURVE: (zws, { keys }) => zws.curve(keys),
  // One token after the other; the last is for ever.
  BEARER: (zws, { tokens }) => zws.bearer(async () => (tokens.length > 1 ? tokens.shift() : tokens[0])),
}

const events = ["ready", "recovered", "disconnect", "refused", "lost", "expiring", "renewed", "unsubscribed"]
const classes = { SUB: "Sub", XSUB: "XSub", DEALER: "Dealer", REQ: "Req", PUSH: "Push", PULL: "Pull", PAIR: "Pair" }

export function driver(zws, say, more = {}) {
  const sockets = new Map()
  const muxes = new Map() // by URL and login

  /** The Mux at the URL options.mux, one for each login. */
  function muxOf(options, settings) {
    const { mux, username, password, tokens } = options, key = JSON.stringify([mux, username, password, tokens])
    if (!muxes.has(key)) muxes.set(key, new zws.Mux(mux, settings))
    return muxes.get(key)
  }

  async function read(socket, sock) {
    try {
      for await (const message of sock) say({ socket, event: "message", frames: text(message) })
    } catch ({ code, reason }) {
      say({ socket, event: "ended", code, reason })
    }
  }

  return {
    // With options.mux a path in connect is a route of that Mux. What is to be paused is not
    // read before the order to do so.
    open(order) {
      const { socket, type, connect, subscribe = [], options } = order
      if (type === "JSON") {
        sockets.set(socket, jsonSocket(more.WebSocket ?? WebSocket, order, say))
        return say({ socket, event: "open" })
      }
      if (options.cookie) document.cookie = options.cookie
      const login = credentials[options.mechanism]?.(zws, options)
      const settings = { reconnectInterval: 20, reconnectMaxInterval: 200, ...(login && { login }), ...more }
      const sock = new zws[classes[type]](settings)
      sockets.set(socket, sock)
      for (const name of events) {
        sock.events.on(name, ({ code, reason, status, topic, zmtp }) => {
          say({ socket, event: name, code, reason, status, zmtp, frames: topic && text([topic]) })
        })
      }
      if (subscribe.length) sock.subscribe(...subscribe)
      for (const url of connect.split(" ")) sock.connect(url.startsWith("/") ? muxOf(options, settings).route(url) : url)
      // A Req may receive only what it has asked for.
      if (sock.receive && type !== "REQ" && !options.paused) read(socket, sock)
      say({ socket, event: "open" })
    },

    read({ socket }) {
      read(socket, sockets.get(socket))
    },

    async send({ socket, frames }) {
      const sock = sockets.get(socket)
      await sock.send(sock.type ? octets(frames) : frames)
      if (sock.type === "REQ") say({ socket, event: "message", frames: text(await sock.receive()) })
    },

    close({ socket }) {
      sockets.get(socket).close()
      say({ socket, event: "closed" })
    },
  }
}
