// Sockets of npm zeromq: libzmq, built with its ws:// transport.
import zmq from "zeromq"
import { emit, serve, toBytes, toText } from "./lines.mjs"

const kinds = {
  SUB: zmq.Subscriber, XSUB: zmq.XSubscriber, PUB: zmq.Publisher, XPUB: zmq.XPublisher,
  DEALER: zmq.Dealer, ROUTER: zmq.Router, REQ: zmq.Request, REP: zmq.Reply,
  PUSH: zmq.Push, PULL: zmq.Pull, PAIR: zmq.Pair,
}
const reported = [
  "handshake", "handshake:error:protocol", "handshake:error:auth", "handshake:error:other", "disconnect",
]
const sockets = new Map()
const sending = new Map() // promises that the socket has taken all messages so far

// REQ and REP alternate: they receive one message after they have sent one, or the reverse.
async function receive(number, socket) {
  try {
    for (;;) emit({ socket: number, event: "message", frames: toText(await socket.receive()) })
  } catch (e) {
    if (e.code === "EFSM" || e.code === "EBUSY") return
    if (!socket.closed) emit({ socket: number, event: "failed", error: String(e) })
  }
}

await serve({
  async open({ socket: number, type, connect, bind, subscribe = [], options = {} }) {
    const { username, password, public: publicKey, secret, server_key, routing_id, correlate, relaxed, probe } = options
    const socket = new kinds[type]({
      linger: 0,
      ...(username !== undefined && { plainUsername: username, plainPassword: password }),
      ...(publicKey && { curvePublicKey: publicKey, curveSecretKey: secret, curveServerKey: server_key }),
      ...(routing_id && { routingId: routing_id }),
      ...(correlate && { correlate }),
      ...(relaxed && { relaxed }),
      ...(probe && { probeRouter: probe }),
    })
    sockets.set(number, socket)
    sending.set(number, Promise.resolve())
    for (const event of reported) {
      socket.events.on(event, ({ error }) => emit({ socket: number, event, status: error?.status, error: error?.code }))
    }
    if (bind) await socket.bind(bind)
    if (connect) socket.connect(connect)
    for (const topic of subscribe) socket.subscribe(topic)
    if (socket.receive && type !== "REQ") receive(number, socket)
    emit({ socket: number, event: "open", endpoint: socket.lastEndpoint })
  },
  send({ socket: number, frames }) {
    const socket = sockets.get(number)
    // A socket sends one message at a time and waits for a peer.
    sending.set(number, sending.get(number).then(() => socket.send(toBytes(frames))).then(
      () => { if (socket instanceof zmq.Request || socket instanceof zmq.Reply) receive(number, socket) },
      (e) => { if (!socket.closed) emit({ socket: number, event: "failed", error: String(e) }) },
    ))
  },
  async close({ socket: number }) {
    sockets.get(number).close()
    sockets.delete(number)
    emit({ socket: number, event: "closed" })
  },
})
