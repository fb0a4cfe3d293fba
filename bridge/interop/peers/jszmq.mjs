// Sockets of jszmq: ZeroMQ in JavaScript over WebSocket, with bare ZWS2.0.
import { createRequire } from "node:module"
import jszmq from "jszmq"
import { emit, serve, toBytes, toText } from "./lines.mjs"

const kinds = {
  SUB: jszmq.Sub, XSUB: jszmq.XSub, PUB: jszmq.Pub, XPUB: jszmq.XPub,
  DEALER: jszmq.Dealer, ROUTER: jszmq.Router, REQ: jszmq.Req, REP: jszmq.Rep,
  PUSH: jszmq.Push, PULL: jszmq.Pull, PAIR: jszmq.Pair,
}
const sockets = new Map()

// jszmq does not listen for errors of its WebSocket. In a browser an error without a listener is
// ignored, and jszmq reconnects; in Node it would be thrown before the close event that jszmq
// waits for.
const { prototype } = createRequire(import.meta.resolve("jszmq"))("isomorphic-ws")
const original = prototype.emit
prototype.emit = function (event, ...args) {
  return event === "error" && this.listenerCount("error") === 0 ? false : original.call(this, event, ...args)
}

await serve({
  open({ socket: number, type, connect, subscribe = [], options = {} }) {
    const socket = new kinds[type]()
    sockets.set(number, { socket, connect })
    if (options.routing_id) socket.options.routingId = options.routing_id
    socket.on("message", (...frames) => emit({ socket: number, event: "message", frames: toText(frames) }))
    socket.connect(connect)
    for (const topic of subscribe) socket.subscribe(topic)
    emit({ socket: number, event: "open" })
  },
  send: ({ socket: number, frames }) => sockets.get(number).socket.send(toBytes(frames)),
  subscribe: ({ socket: number, frames }) => frames.forEach((topic) => sockets.get(number).socket.subscribe(topic)),
  unsubscribe: ({ socket: number, frames }) => frames.forEach((topic) => sockets.get(number).socket.unsubscribe(topic)),
  close({ socket: number }) {
    const { socket, connect } = sockets.get(number)
    socket.disconnect(connect) // close() alone leaves connections open
    sockets.delete(number)
    emit({ socket: number, event: "closed" })
  },
})
