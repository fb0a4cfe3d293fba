// WebSockets of pages in one Chromium, which is the argument. What others connect to is
// here the page's address; each page is opened once.
import { chromium } from "playwright-core"
import { obey, say } from "./lines.mjs"

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
  page.on("pageerror", (e) => say({ socket: 0, event: "failed", error: String(e) }))
  await page.exposeFunction("say", say)
  await page.goto(address)
  return page
}

await obey({
  async open({ socket, type, connect, options }) {
    if (!pages.has(connect)) pages.set(connect, await visit(connect))
    const page = pages.get(connect)
    pageOf.set(socket, page)
    if (options.cookie) await page.evaluate((c) => { document.cookie = c }, options.cookie)
    await page.evaluate(([number, o]) => open(number, o), [socket, { type, ...options }])
    say({ socket, event: "open" })
  },
  send: ({ socket, frames }) => pageOf.get(socket).evaluate(([number, f]) => send(number, f), [socket, frames]),
  async close({ socket }) {
    await pageOf.get(socket).evaluate((number) => { sockets[number].onclose = null; sockets[number].close() }, socket)
    say({ socket, event: "closed" })
  },
}, () => browser.close())
