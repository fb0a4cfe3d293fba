// The browser of the benchmark. The first argument is what to do:
//   bundle DIRECTORY              makes the files that the pages load
//   chromium|firefox EXECUTABLE   opens pages: one JSON object per line in, one out
import { cpSync, mkdirSync } from "node:fs"
import { createInterface } from "node:readline"
import { gzipSync } from "node:zlib"

const here = new URL("./", import.meta.url).pathname

async function bundle(directory) {
  const { build } = await import("esbuild")
  mkdirSync(`${directory}/lib`, { recursive: true })
  cpSync(`${here}page.html`, `${directory}/index.html`)
  cpSync(`${here}page.js`, `${directory}/page.js`)
  await build({
    entryPoints: ["nats", "centrifuge", "jszmq"].map((name) => `${here}libraries/${name}.js`),
    outdir: `${directory}/lib`,
    bundle: true, minify: true, format: "esm", platform: "browser", logLevel: "error",
    alias: { url: `${here}libraries/url.js` },
    define: { global: "globalThis", "process.env": "{}" },
  })
}

/** Pages of Chromium, each with the counters of its main thread. */
async function inChromium(executablePath) {
  const { chromium } = await import("playwright-core")
  const browser = await chromium.launch({
    executablePath,
    args: ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  })
  return {
    async visit(url) {
      const context = await browser.newContext()
      const page = await context.newPage()
      await page.goto(url)
      const devtools = await context.newCDPSession(page)
      await devtools.send("Performance.enable", { timeDomain: "threadTicks" })
      return {
        call: (name, ...values) => page.evaluate(([n, v]) => window[n](...v), [name, values]),
        async metrics() {
          const { metrics } = await devtools.send("Performance.getMetrics")
          return Object.fromEntries(metrics.map(({ name, value }) => [name, value]))
        },
        end: () => context.close(),
      }
    },
    end: () => browser.close(),
  }
}

/** Pages of Firefox, which has no counters that a program could ask for. */
async function inFirefox(executable) {
  const { openFirefox } = await import("../../interop/peers/firefox.mjs")
  const firefox = await openFirefox(executable)
  return {
    async visit(url) {
      const page = await firefox.visit(url, () => {})
      return {
        call: (name, ...values) => page.call("(name, values) => window[name](...values)", name, values),
        metrics: async () => ({}),
        end: () => page.call("() => { location.href = 'about:blank' }"),
      }
    },
    end: () => firefox.end(),
  }
}

/** Returns the size with gzip of the files that a page has loaded. */
async function sizeOf(files) {
  let size = 0
  for (const file of files) size += gzipSync(Buffer.from(await (await fetch(file)).arrayBuffer()), { level: 9 }).length
  return size
}

async function serve(browser) {
  let page, before
  const handlers = {
    async open({ page: address, client, url }) {
      await page?.end()
      page = await browser.visit(address)
      const { took, files } = await page.call("open", client, url)
      return { took, requests: files.length, size: await sizeOf(files) }
    },
    count: async () => ({ received: await page.call("count") }),
    async start() {
      before = await page.metrics()
      await page.call("start")
      return {}
    },
    async stop() {
      const result = await page.call("stop"), after = await page.metrics()
      const used = (name) => (after[name] ?? 0) - (before[name] ?? 0)
      return { ...result, task: used("TaskDuration"), thread: used("ThreadTime") }
    },
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    let answer
    try {
      answer = await handlers[command.do](command)
    } catch (error) {
      answer = { error: String(error?.message ?? error) }
    }
    process.stdout.write(JSON.stringify(answer) + "\n")
  }
  await browser.end()
  process.exit(0)
}

const [, , what, argument] = process.argv
if (what === "bundle") await bundle(argument)
else await serve(await { chromium: inChromium, firefox: inFirefox }[what](argument))
