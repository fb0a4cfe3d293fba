// Sockets of jszmq: ZeroMQ in JavaScript over WebSockets, bare ZWS2.0.
import { createRequire } from "node:module"
import jszmq from "jszmq"
import { obey, octets, say, text } from "./lines.mjs"

const kinds = {
  SUB: jszmq.Sub, XSUB: jszmq.XSub, PUB: jszmq.Pub, XPUB: jszmq.XPub,
  DEALER: jszmq.Dealer, ROUTER: jszmq.Router, REQ: jszmq.Req, REP: jszmq.Rep,
  PUSH: jszmq.Push, PULL: jszmq.Pull, PAIR: jszmq.Pair,
}
const sockets = new Map()

// jszmq does not listen to errors of its WebSocket. In a browser an error that nobody listens
// to is nothing, and jszmq connects again; in Node it would be thrown, before the close that
// jszmq waits for.
const { prototype } = createRequire(import.meta.resolve("jszmq"))("isomorphic-ws")
const { emit } = prototype
prototype.emit = function (event, ...args) {
  return event === "error" && this.listenerCount("error") === 0 ? false : emit.call(this, event, ...args)
}

await obey({
  open({ socket: number, type, connect, subscribe = [], options = {} }) {
    const socket = new kinds[type]()
    sockets.set(number, { socket, connect })
    if (options.routing_id) socket.options.routingId = options.routing_id
    socket.on("message", (...frames) => say({ socket: number, event: "message", frames: text(frames) }))
    socket.connect(connect)
    for (const topic of subscribe) socket.subscribe(topic)
    say({ socket: number, event: "open" })
  },
  send: ({ socket: number, frames }) => sockets.get(number).socket.send(octets(frames)),
  subscribe: ({ socket: number, frames }) => frames.forEach((topic) => sockets.get(number).socket.subscribe(topic)),
  unsubscribe: ({ socket: number, frames }) => frames.forEach((topic) => sockets.get(number).socket.unsubscribe(topic)),
  close({ socket: number }) {
    const { socket, connect } = sockets.get(number)
    socket.disconnect(connect) // close() alone leaves connections open
    sockets.delete(number)
    say({ socket: number, event: "closed" })
  },
})
