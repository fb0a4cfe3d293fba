// One client in a page: counts what it receives. The driver calls open, then start and stop.
const READY = new TextEncoder().encode("\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")

const counts = { received: 0, lost: 0 }
let ticks, longest

/** Counts what a Sub receives, as its users read it. */
async function read(sub) {
  sub.events.on("lost", ({ count }) => { counts.lost += count })
  for await (const message of sub) if (message.length === 2) counts.received++
}

async function zws(url, options, topic = "bench") {
  const { Sub } = await import("/zws.js")
  const sub = new Sub(options)
  sub.subscribe(topic)
  await sub.connect(url)
  read(sub)
}

/** Chooses ZWS 2.0, as servers do that know nothing else. */
class Unmultiplexed extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols.filter((name) => name !== "ZWSMUX1.0"))
  }
}

const clients = {
  /** What no client of ZWS 2.0 can be better than: it looks at the flag of each frame. */
  plain: (url) => new Promise((resolve) => {
    const ws = new WebSocket(url, "ZWS2.0+NULL")
    ws.binaryType = "arraybuffer"
    ws.onopen = () => ws.send(Uint8Array.of(2, ...READY))
    ws.onmessage = ({ data }) => {
      const [flag] = new Uint8Array(data, 0, 1)
      if (flag === 0) counts.received++
      if (flag !== 2) return
      ws.send(new TextEncoder().encode("\x00\x01bench"))
      resolve()
    }
  }),

  zws: (url) => zws(url),
  zws2: (url) => zws(url, { WebSocket: Unmultiplexed }),

  async handler(url) {
    const { Sub } = await import("/zws.js")
    const sub = new Sub()
    sub.on("lost", ({ count }) => { counts.lost += count })
    sub.on("message", (message) => { if (message.length === 2) counts.received++ })
    sub.subscribe("bench")
    await sub.connect(url)
  },

  /** Four sockets on one connection, with a quarter of the messages each. */
  async mux(url) {
    const [{ Sub }, { Mux }] = await Promise.all([import("/zws.js"), import("/zws/mux.js")])
    const mux = new Mux(url)
    await Promise.all(Array.from({ length: 4 }, async (_, i) => {
      const sub = new Sub()
      sub.subscribe(`bench${i}`)
      await sub.connect(mux.route(new URL(url).pathname))
      read(sub)
    }))
  },

  json: (url) => new Promise((resolve) => {
    const ws = new WebSocket(url, "ZWSJSON1.0")
    ws.onopen = () => ws.send(JSON.stringify({ op: "login", batch: true }))
    ws.onmessage = ({ data }) => {
      for (const { op, frames, count } of JSON.parse(data)) {
        if (op === "message" && frames.length === 2) counts.received++
        if (op === "lost") counts.lost += count
        if (op !== "ready") continue
        ws.send(JSON.stringify({ op: "subscribe", topic: "bench" }))
        resolve()
      }
    }
  }),

  async jszmq(url) {
    const { Sub } = await import("/lib/jszmq.js")
    const sub = new Sub()
    sub.on("message", (topic, payload) => { if (payload) counts.received++ })
    sub.subscribe("bench")
    sub.connect(url) // it has no event for the end of that
  },

  async nats(url) {
    const { wsconnect } = await import("/lib/nats.js")
    const connection = await wsconnect({ servers: url, reconnect: false })
    const sub = connection.subscribe("bench")
    await connection.flush()
    const count = async () => {
      for await (const message of sub) if (message.data.length) counts.received++
    }
    count()
  },

  async centrifuge(url) {
    const { Centrifuge } = await import("/lib/centrifuge.js")
    const centrifuge = new Centrifuge(url)
    const sub = centrifuge.newSubscription("bench")
    sub.on("publication", ({ data }) => { if (data) counts.received++ })
    sub.subscribe()
    centrifuge.connect()
    await sub.ready()
  },
}

window.tasks = [] // lengths in ms of those that took more than 50
try {
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" })
} catch { /* not in Firefox */ }

/** Connects, and returns how long that took in ms, and which files were loaded for it. */
window.open = async (name, url) => {
  performance.clearResourceTimings()
  const begin = performance.now()
  const limit = new Promise((_, reject) => { setTimeout(() => reject(new Error("not ready within 30 s")), 30_000) })
  await Promise.race([clients[name](url), limit])
  const took = performance.now() - begin
  return { took, files: performance.getEntriesByType("resource").map((entry) => entry.name) }
}

window.start = () => {
  Object.assign(counts, { received: 0, lost: 0 })
  window.tasks.length = 0
  window.started = performance.now()
  longest = 0
  let last = window.started
  ticks = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 10)
    last = now
  }, 10)
}

/** Returns the counts since start, and by how many ms the latest tick was late. */
window.stop = () => {
  clearInterval(ticks)
  return { ...counts, seconds: (performance.now() - window.started) / 1000, late: longest, tasks: [...window.tasks] }
}

window.count = () => counts.received
