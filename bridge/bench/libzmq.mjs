// libzmq with ws://, through the npm package zeromq:
//   node libzmq.mjs pub|proxy|router ADDRESS FEED
import net from "node:net"
import * as zmq from "zeromq"

const [mode, address, feed] = process.argv.slice(2)
const send = { sendHighWaterMark: 20000 }
const receive = { receiveHighWaterMark: 20000 }

// An XPUB that publishes by itself: each byte that arrives on FEED asks for one message.
async function pub() {
  const socket = new zmq.XPublisher({ noDrop: true, ...send })
  await socket.bind(`ws://${address}`)
  const message = Buffer.alloc(100, "x")
  message.write("bench @@")
  let requested = 0
  let sending = false
  async function sendRequested() {
    sending = true
    for (; requested > 0; requested--) {
      message.write(process.hrtime.bigint().toString(16).padStart(16, "0"), 8)
      await socket.send(message)
    }
    sending = false
  }
  const [host, port] = feed.split(":")
  net.createServer((from) => from.on("data", (requests) => {
    requested += requests.length
    if (!sending) sendRequested()
  }).on("error", () => {})).listen(Number(port), host)
  for await (const _ of socket) { /* subscriptions */ }
}

async function proxy(front, back) {
  const p = new zmq.Proxy(front, back)
  await front.bind(`ws://${address}`)
  back.connect(`tcp://${feed}`)
  await p.run()
}

switch (mode) {
  case "pub":
    await pub()
    break
  case "proxy":
    await proxy(new zmq.XPublisher({ noDrop: true, ...send }), new zmq.XSubscriber(receive))
    break
  case "router":
    await proxy(new zmq.Router({ ...send, ...receive }), new zmq.Dealer({ ...send, ...receive }))
    break
}
