// WebSockets of pages in one Chromium. The argument is its executable. A command connects to the
// address of a page, which is opened once.
import { chromium } from "playwright-core"
import { emit, serve } from "./lines.mjs"

const [, , executablePath] = process.argv
const browser = await chromium.launch({
  executablePath,
  args: [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
})
const context = await browser.newContext({ ignoreHTTPSErrors: true })
const pages = new Map() // by address
const pageOf = new Map() // by socket

async function visit(address) {
  const page = await context.newPage()
  page.on("pageerror", (e) => emit({ socket: 0, event: "failed", error: String(e) }))
  await page.exposeFunction("emit", emit)
  await page.goto(address)
  return page
}

await serve({
  async open({ socket, type, connect, options }) {
    if (!pages.has(connect)) pages.set(connect, await visit(connect))
    const page = pages.get(connect)
    pageOf.set(socket, page)
    if (options.cookie) await page.evaluate((c) => { document.cookie = c }, options.cookie)
    await page.evaluate(([number, o]) => open(number, o), [socket, { type, ...options }])
    emit({ socket, event: "open" })
  },
  send: ({ socket, frames }) => pageOf.get(socket).evaluate(([number, f]) => send(number, f), [socket, frames]),
  async close({ socket }) {
    await pageOf.get(socket).evaluate((number) => { sockets[number].onclose = null; sockets[number].close() }, socket)
    emit({ socket, event: "closed" })
  },
}, () => browser.close())
