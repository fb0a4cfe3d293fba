// Uses the admin page in a browser by keyboard alone, and ends the session of alice, which must
// exist. The arguments are chromium or firefox, its executable, the page's URL, and the login:
// "token" and the admin token, or "oidc" and the provider's host. It exits with an error if
// anything is not as expected.
import assert from "node:assert/strict"
import { openPage } from "./keyboard.mjs"

const [, , name, executablePath, admin, method, secretOrHost] = process.argv

const page = await openPage(name, executablePath)
const { until, reads, gone, focused, tabTo } = page

async function byToken() {
  await focused("#token")
  await page.type("guessed")
  await page.press("Enter")
  await reads("#refused", "Login refused")
  await page.type(secretOrHost)
  await page.press("Enter")
}

/** Logs in at the provider, which asks for a name each time. */
async function byProvider(user) {
  await tabTo("#by-provider a")
  await page.press("Enter")
  await focused("input[name=name]")
  if (user) await page.type(user)
  await page.press("Enter")
}

async function logout() {
  await tabTo("#logout button", "Shift+Tab") // Tab would leave the page for the controls of the browser
  await page.press("Enter")
  await until("the login page is there", "() => document.querySelector('#login').checkVisibility()")
}

/** Logs in without a name, without a tag, with the tag monitoring, and as an administrator. */
async function throughProvider() {
  await reads("#by-provider a", `Log in with ${secretOrHost}`)
  await byProvider("")
  await reads("#refused", "The provider did not let you in.")
  assert.equal(await page.call("() => location.hash"), "", "the reason is still in the URL")
  await byProvider("erin")
  await reads("#refused", "tagged neither monitoring nor administrator")
  await byProvider("dave")
  await reads("#sessions tbody", "alice")
  await reads("#who", "dave (read only)")
  assert.equal(await page.call("() => document.querySelector('#sessions tbody button').checkVisibility()"), false, "dave may end sessions")
  await logout()
  await reads("#elsewhere", `Log out at ${secretOrHost} too`)
  await byProvider("carol")
}

try {
  await page.visit(admin)
  if (method === "token") await byToken()
  else await throughProvider()
  await reads("#sessions tbody", "alice")
  await reads("#backends tbody", "ready")
  await reads("#routes tbody", "SUB")
  await reads("#who", method === "token" ? "the admin token" : "carol")
  await tabTo("#sessions tbody button")
  await page.press("Enter")
  await reads("#confirm", "alice on /")
  await focused("#confirm button[value=cancel]")
  await tabTo("#confirm button[value=session]")
  await page.press("Enter")
  await reads("#ends tbody", "4401")
  await gone("#h-sessions", "1")
  await logout()
  if (method === "oidc") await reads("#elsewhere", `Log out at ${secretOrHost} too`)
  assert.equal(await page.call("async () => (await fetch('/summary')).status"), 401, "the login has not ended")
} finally {
  await page.end()
}
