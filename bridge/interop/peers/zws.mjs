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
  return { visit: async () => (command) => drive[command.do](command), end() {} }
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
      return (command) => page.evaluate((c) => handle(c), command)
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
      return (command) => page.call("(command) => handle(command)", command)
    },
    end: () => firefox.end(),
  }
}

const platform = await { node: inNode, node22: inNode, chromium: inChromium, firefox: inFirefox }[name]()
const pages = new Map() // promises of a function that handles commands, by address
const pageOf = new Map() // by socket

await serve({
  async open(command) {
    const { page } = command.options
    if (!pages.has(page)) pages.set(page, platform.visit(page))
    pageOf.set(command.socket, await pages.get(page))
    await pageOf.get(command.socket)(command)
  },
  send: (command) => pageOf.get(command.socket)(command),
  read: (command) => pageOf.get(command.socket)(command),
  close: (command) => pageOf.get(command.socket)(command),
}, () => platform.end())
