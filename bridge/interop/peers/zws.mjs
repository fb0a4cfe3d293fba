// The JavaScript client on one platform: the argument is node, node22, chromium, chromium-worker, firefox or
// firefox-worker, followed by the browser's executable. A browser loads the client from the bridge
// at options.page, as /zws.js.
import { WebSocket } from "ws"
import { openFirefox } from "./firefox.mjs"
import { emit, serve } from "./lines.mjs"
import { driver } from "./zws/driver.js"

const [, , where, executablePath] = process.argv
const [name, worker] = where.split("-")

// The bridge has a self-signed certificate.
if (where === "node22") process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"

/** Node 20 has no WebSocket of its own. */
class TrustingWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false })
  }
}

async function inNode() {
  const zws = {}
  for (const module of ["zws.js", "zws/mux.js", "zws/relay.js"]) Object.assign(zws, await import(`../../../zws/js/${module}`))
  const drive = driver(zws, emit, where === "node" ? { WebSocket: TrustingWebSocket } : {})
  return { visit: async () => ({ handle: (command) => drive[command.do](command) }), end() {} }
}

async function inChromium() {
  const { chromium } = await import("playwright-core")
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  })
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  return {
    async visit(address) {
      const page = await context.newPage()
      page.on("pageerror", (e) => emit({ socket: 0, event: "failed", error: String(e) }))
      await page.exposeFunction("emit", emit)
      await page.goto(address)
      await page.evaluate((inWorker) => begin(emit, inWorker), !!worker)
      const devtools = await context.newCDPSession(page)
      return {
        handle: (command) => page.evaluate((c) => handle(c), command),
        offline: (on) => context.setOffline(on),
        // A page without a window is never hidden, so that its lifecycle cannot become frozen.
        async freeze({ socket }) {
          devtools.once("Debugger.paused", () => emit({ socket, event: "frozen" }))
          await devtools.send("Debugger.enable")
          await devtools.send("Debugger.pause")
          page.evaluate("0") // pauses, and returns after thaw
        },
        thaw: () => devtools.send("Debugger.disable"),
      }
    },
    end: () => browser.close(),
  }
}

async function inFirefox() {
  const firefox = await openFirefox(executablePath)
  return {
    async visit(address) {
      const page = await firefox.visit(address, emit)
      await page.call("(emit, inWorker) => begin(emit, inWorker)", firefox.channel, !!worker)
      return {
        handle: (command) => page.call("(command) => handle(command)", command),
        offline: (on) => page.offline(on),
      }
    },
    end: () => firefox.end(),
  }
}

const platform = await { node: inNode, node22: inNode, chromium: inChromium, firefox: inFirefox }[name]()
const pages = new Map() // promises of them, by address
const pageOf = new Map() // by socket
const handle = (command) => pageOf.get(command.socket).handle(command)

await serve({
  async open(command) {
    const { page } = command.options
    if (!pages.has(page)) pages.set(page, platform.visit(page))
    pageOf.set(command.socket, await pages.get(page))
    await handle(command)
  },
  send: handle,
  read: handle,
  close: handle,
  watch: handle,
  watched: handle,
  // These are for the page of the socket, or for the whole browser.
  async offline({ socket }) {
    await pageOf.get(socket).offline(true)
    emit({ socket, event: "offline" })
  },
  online: ({ socket }) => pageOf.get(socket).offline(false),
  freeze: (command) => pageOf.get(command.socket).freeze(command),
  thaw: ({ socket }) => pageOf.get(socket).thaw(),
}, () => platform.end())
