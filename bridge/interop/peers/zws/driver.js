// Drives the JavaScript client by the commands of a test, in a page, in a worker or in Node. It gets
// the client's modules and a function that emits events.
import { jsonSocket } from "./json.js"

const toText = (frames) => frames.map((frame) => Array.from(frame, (byte) => String.fromCharCode(byte)).join(""))
const toBytes = (frames) => frames.map((frame) => Uint8Array.from(frame, (c) => c.charCodeAt(0)))

const credentials = {
  PLAIN: (zws, { username, password }) => zws.plain(username, password),
  CURVE: (zws, { keys }) => zws.curve(keys),
  // One token after the other; the last one again and again. "" is one that never comes.
  BEARER: (zws, { tokens }) => zws.bearer(() => {
    const token = tokens.length > 1 ? tokens.shift() : tokens[0]
    return new Promise((resolve) => { if (token) resolve(token) })
  }),
}

const events = ["ready", "recovered", "disconnect", "refused", "lost", "expiring", "renewed", "unsubscribed", "resumed"]
const classes = { SUB: "Sub", XSUB: "XSub", DEALER: "Dealer", REQ: "Req", PUSH: "Push", PULL: "Pull", PAIR: "Pair" }

export function driver(zws, emit, more = {}) {
  const sockets = new Map()
  const muxes = new Map() // by URL and login

  function settingsFor(options) {
    const login = credentials[options.mechanism]?.(zws, options), { heartbeat, handshakeTimeout } = options
    return { reconnectInterval: 20, reconnectMaxInterval: 200, ...(login && { login }), heartbeat, handshakeTimeout, ...more }
  }

  /** Returns the Mux of a login. */
  function muxOf(url, login) {
    const { username, password, tokens } = login, key = JSON.stringify([url, username, password, tokens])
    if (!muxes.has(key)) muxes.set(key, new zws.Mux(url, settingsFor(login)))
    return muxes.get(key)
  }

  /** Returns what to connect to: a URL, or for a path a route of the Mux at options.mux. With options.outer, the login of the Mux, it is a relay. */
  function target(url, options) {
    const { mux, outer } = options
    if (!url.startsWith("/")) return url
    return outer ? zws.relay(muxOf(mux, outer), url) : muxOf(mux, options).route(url)
  }

  async function read(socket, sock) {
    try {
      for await (const message of sock) {
        const { position } = sock, { time } = message
        emit({ socket, event: "message", frames: toText(message), position, replayed: !!time })
      }
    } catch ({ name, code, reason }) {
      emit({ socket, event: "ended", code, reason, error: name })
    }
  }

  const late = { longest: 0, task: 0 } // ms: of a timer, and of what the browser calls a long task

  /** Watches how long something else keeps the thread. */
  function watch() {
    let last = performance.now()
    setInterval(() => {
      late.longest = Math.max(late.longest, performance.now() - last - 20)
      last = performance.now()
    }, 20)
    try {
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) late.task = Math.max(late.task, duration)
      }).observe({ type: "longtask" })
    } catch { /* only in Chromium */ }
  }

  return {
    watch,

    /** Reports what watch has seen. */
    watched({ socket }) {
      emit({ socket, event: "watched", frames: [late.longest, late.task].map((ms) => `${Math.round(ms)} ms`) })
    },

    // A paused socket is not read before the command read.
    open(command) {
      const { socket, type, connect, subscribe = [], options } = command
      if (type === "JSON") {
        sockets.set(socket, jsonSocket(more.WebSocket ?? WebSocket, command, emit))
        return emit({ socket, event: "open" })
      }
      if (options.cookie) document.cookie = options.cookie
      const { history, position, queue, last } = options
      const sock = new zws[classes[type]]({ ...settingsFor(options), ...(history && { history, position, queue }) })
      sockets.set(socket, sock)
      for (const name of events) {
        sock.events.on(name, ({ code, reason, status, topic, zmtp, recovered, gap }) => {
          emit({ socket, event: name, code, reason, status, zmtp, recovered, gap, frames: topic && toText([topic]) })
        })
      }
      if (subscribe.length) sock.subscribe(...subscribe, { last: !!last })
      for (const url of connect.split(" ")) sock.connect(target(url, options))
      // A Req can only receive after it has sent.
      if (sock.receive && type !== "REQ" && !options.paused) read(socket, sock)
      emit({ socket, event: "open" })
    },

    read({ socket }) {
      read(socket, sockets.get(socket))
    },

    async send({ socket, frames }) {
      const sock = sockets.get(socket)
      await sock.send(sock.type ? toBytes(frames) : frames)
      if (sock.type !== "REQ") return
      try {
        emit({ socket, event: "message", frames: toText(await sock.receive()) })
      } catch ({ name, code }) {
        emit({ socket, event: "rejected", error: `${name} ${code}` })
      }
    },

    close({ socket }) {
      sockets.get(socket).close()
      emit({ socket, event: "closed" })
    },
  }
}
