// A person at a page in a browser, by keyboard alone.
import { chromium } from "playwright-core"
import { openFirefox } from "./firefox.mjs"

/** In each browser a page can be asked, and typed at. */
async function inChromium(executablePath) {
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  })
  const page = await browser.newPage({ ignoreHTTPSErrors: true })
  return {
    visit: (url) => page.goto(url),
    call: (f, ...values) => page.evaluate(`(${f})(...${JSON.stringify(values)})`),
    type: (text) => page.keyboard.type(text),
    press: (key) => page.keyboard.press(key),
    end: () => browser.close(),
  }
}

async function inFirefox(executablePath) {
  const browser = await openFirefox(executablePath)
  let page
  return {
    async visit(url) { page = await browser.visit(url, console.error) },
    call: (f, ...values) => page.call(f, ...values),
    type: (text) => page.press(...text),
    press: (key) => page.press({ Enter: "\uE007", Tab: "\uE004", "Shift+Tab": ["\uE008", "\uE004"] }[key]),
    end: () => browser.end(),
  }
}

/** Opens chromium or firefox. */
export async function sitDown(name, executablePath) {
  const page = await { chromium: inChromium, firefox: inFirefox }[name](executablePath)

  /** Waits until f, with values, is true in the page, which may be on its way to another. */
  async function until(what, f, ...values) {
    for (const end = Date.now() + 60_000; ;) {
      const is = await page.call(f, ...values).catch(() => false)
      if (is) return
      if (Date.now() > end) throw new Error(`${what}: not so after a minute. The page: ${await page.call("() => location.href + '\\n' + document.body.innerText")}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const reads = (selector, text) => until(`${selector} reads ${text}`,
    "(selector, text) => document.querySelector(selector)?.checkVisibility() && document.querySelector(selector).innerText.includes(text)", selector, text)
  const gone = (selector, text) => until(`${selector} no longer reads ${text}`,
    "(selector, text) => !document.querySelector(selector).innerText.includes(text)", selector, text)
  const focused = (selector) => until(`${selector} has the focus`, "(selector) => document.activeElement?.matches(selector)", selector)

  /** Goes on, or back, by the tabulator until what selector says has the focus. */
  async function tabTo(selector, key = "Tab") {
    // A key that comes before a new page has the focus would go to the controls of the browser.
    await until("the page has the focus", "() => document.readyState === 'complete' && document.hasFocus()")
    for (let n = 0; n < 50; n++) {
      if (await page.call("(selector) => document.activeElement.matches(selector)", selector)) return
      await page.press(key)
    }
    throw new Error(`${selector} cannot be reached by keyboard`)
  }

  return { ...page, until, reads, gone, focused, tabTo }
}
