// An operator at the admin page in a browser, by keyboard alone. The arguments are chromium or
// firefox, its executable, the page's URL, and how to log in: "token" and the admin token, or
// "oidc" and the provider's host. A session of alice's has to be there, which is ended. What is not as it should be
// ends it with an error.
import assert from "node:assert/strict"
import { chromium } from "playwright-core"
import { openFirefox } from "./firefox.mjs"

const [, , name, executablePath, admin, way, word] = process.argv

/** In each browser a page can be asked, and typed at. */
async function inChromium() {
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

async function inFirefox() {
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

const page = await { chromium: inChromium, firefox: inFirefox }[name]()

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

async function byToken() {
  await focused("#token")
  await page.type("guessed")
  await page.press("Enter")
  await reads("#refused", "Login refused")
  await page.type(word)
  await page.press("Enter")
}

/** Logs in at the provider, which asks each time, as somebody. */
async function byProvider(who) {
  await tabTo("#by-provider a")
  await page.press("Enter")
  await focused("input[name=name]")
  if (who) await page.type(who)
  await page.press("Enter")
}

async function logout() {
  await tabTo("#logout button", "Shift+Tab") // at the other end are the controls of the browser
  await page.press("Enter")
  await until("the login page is there", "() => document.querySelector('#login').checkVisibility()")
}

/** Nobody gives a name, then come one who may not look, one who may, and one who may change. */
async function throughProvider() {
  await reads("#by-provider a", `Log in with ${word}`)
  await byProvider("")
  await reads("#refused", "The provider did not let you in.")
  assert.equal(await page.call("() => location.hash"), "", "the reason is still in the URL")
  await byProvider("erin")
  await reads("#refused", "tagged neither monitoring nor administrator")
  await byProvider("dave")
  await reads("#sessions tbody", "alice")
  await reads("#who", "dave (may look only)")
  assert.equal(await page.call("() => document.querySelector('#sessions tbody button').checkVisibility()"), false, "dave may end sessions")
  await logout()
  await reads("#elsewhere", `Log out at ${word} too`)
  await byProvider("carol")
}

try {
  await page.visit(admin)
  if (way === "token") await byToken()
  else await throughProvider()
  await reads("#sessions tbody", "alice")
  await reads("#backends tbody", "ready")
  await reads("#routes tbody", "SUB")
  await reads("#who", way === "token" ? "the admin token" : "carol")
  await tabTo("#sessions tbody button")
  await page.press("Enter")
  await reads("#confirm", "alice on /")
  await focused("#confirm button[value=cancel]")
  await tabTo("#confirm button[value=session]")
  await page.press("Enter")
  await reads("#ends tbody", "4401")
  await gone("#h-sessions", "1")
  await logout()
  if (way === "oidc") await reads("#elsewhere", `Log out at ${word} too`)
  assert.equal(await page.call("async () => (await fetch('/summary')).status"), 401, "the login has not ended")
} finally {
  await page.end()
}
