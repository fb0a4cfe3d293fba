// Uses a page in a browser by keyboard alone.
import { chromium } from "playwright-core"
import { openFirefox } from "./firefox.mjs"

// Both browsers offer the same functions: visit, call, type, press and end.
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
export async function openPage(name, executablePath) {
  const page = await { chromium: inChromium, firefox: inFirefox }[name](executablePath)

  /** Waits until f, called with values, is true in the page. The page can navigate meanwhile. */
  async function until(what, f, ...values) {
    for (const end = Date.now() + 60_000; ;) {
      if (await page.call(f, ...values).catch(() => false)) return
      if (Date.now() > end) throw new Error(`not after a minute: ${what}. The page: ${await page.call("() => location.href + '\\n' + document.body.innerText")}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const reads = (selector, text) => until(`${selector} reads ${text}`,
    "(selector, text) => document.querySelector(selector)?.checkVisibility() && document.querySelector(selector).innerText.includes(text)", selector, text)
  const gone = (selector, text) => until(`${selector} no longer reads ${text}`,
    "(selector, text) => !document.querySelector(selector).innerText.includes(text)", selector, text)
  // Before a new page has the focus, keys go to the controls of the browser, even if one of the page's elements is active.
  const hasFocus = "document.readyState === 'complete' && document.hasFocus()"
  const focused = (selector) => until(`${selector} has the focus`, `(selector) => ${hasFocus} && document.activeElement?.matches(selector)`, selector)

  /** Presses key until the element that selector matches has the focus. */
  async function tabTo(selector, key = "Tab") {
    await until("the page has the focus", `() => ${hasFocus}`)
    for (let n = 0; n < 50; n++) {
      if (await page.call("(selector) => document.activeElement.matches(selector)", selector)) return
      await page.press(key)
    }
    throw new Error(`${selector} cannot be reached by keyboard`)
  }

  return { ...page, until, reads, gone, focused, tabTo }
}
