// The browser's client where it is to run: the argument is node, chromium, chromium-worker,
// firefox or firefox-worker, followed by the browser's executable. In a browser it is what
// the bridge at options.page serves at /zws.js.
import { WebSocket } from "ws"
import { openFirefox } from "./firefox.mjs"
import { obey, say } from "./lines.mjs"
import { driver } from "./zws/driver.js"

const [, , where, executablePath] = process.argv
const [name, worker] = where.split("-")

/** Node 20 has no WebSocket, and ours has to trust a certificate that is self-signed. */
class TrustingWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false })
  }
}

async function inNode() {
  const zws = {}
  for (const module of ["zws.js", "zws/mux.js", "zws/relay.js"]) Object.assign(zws, await import(`../../../zws/js/${module}`))
  const drive = driver(zws, say, { WebSocket: TrustingWebSocket })
  return { visit: async () => (order) => drive[order.do](order), end() {} }
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
      page.on("pageerror", (e) => say({ socket: 0, event: "failed", error: String(e) }))
      await page.exposeFunction("say", say)
      await page.goto(address)
      await page.evaluate((inWorker) => begin(say, inWorker), !!worker)
      return (order) => page.evaluate((o) => obey(o), order)
    },
    end: () => browser.close(),
  }
}

async function inFirefox() {
  const firefox = await openFirefox(executablePath)
  return {
    async visit(address) {
      const page = await firefox.visit(address, say)
      await page.call("(say, inWorker) => begin(say, inWorker)", firefox.channel, !!worker)
      return (order) => page.call("(order) => obey(order)", order)
    },
    end: () => firefox.end(),
  }
}

const place = await { node: inNode, chromium: inChromium, firefox: inFirefox }[name]()
const pages = new Map() // a promise of what obeys, by address
const pageOf = new Map() // by socket

await obey({
  async open(order) {
    const { page } = order.options
    if (!pages.has(page)) pages.set(page, place.visit(page))
    pageOf.set(order.socket, await pages.get(page))
    await pageOf.get(order.socket)(order)
  },
  send: (order) => pageOf.get(order.socket)(order),
  read: (order) => pageOf.get(order.socket)(order),
  close: (order) => pageOf.get(order.socket)(order),
}, () => place.end())
