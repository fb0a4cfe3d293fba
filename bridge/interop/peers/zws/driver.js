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

  function settingsFor(options) {
    const login = credentials[options.mechanism]?.(zws, options)
    return { reconnectInterval: 20, reconnectMaxInterval: 200, ...(login && { login }), ...more }
  }

  /** One for each login. */
  function muxOf(url, login) {
    const { username, password, tokens } = login, key = JSON.stringify([url, username, password, tokens])
    if (!muxes.has(key)) muxes.set(key, new zws.Mux(url, settingsFor(login)))
    return muxes.get(key)
  }

  /** A path is a route of the Mux at the URL options.mux; with options.outer, its login, a relay. */
  function target(url, options) {
    const { mux, outer } = options
    if (!url.startsWith("/")) return url
    return outer ? zws.relay(muxOf(mux, outer), url) : muxOf(mux, options).route(url)
  }

  async function read(socket, sock) {
    try {
      for await (const message of sock) say({ socket, event: "message", frames: text(message) })
    } catch ({ code, reason }) {
      say({ socket, event: "ended", code, reason })
    }
  }

  return {
    // What is to be paused is not read before the order to do so.
    open(order) {
      const { socket, type, connect, subscribe = [], options } = order
      if (type === "JSON") {
        sockets.set(socket, jsonSocket(more.WebSocket ?? WebSocket, order, say))
        return say({ socket, event: "open" })
      }
      if (options.cookie) document.cookie = options.cookie
      const sock = new zws[classes[type]](settingsFor(options))
      sockets.set(socket, sock)
      for (const name of events) {
        sock.events.on(name, ({ code, reason, status, topic, zmtp }) => {
          say({ socket, event: name, code, reason, status, zmtp, frames: topic && text([topic]) })
        })
      }
      if (subscribe.length) sock.subscribe(...subscribe)
      for (const url of connect.split(" ")) sock.connect(target(url, options))
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
