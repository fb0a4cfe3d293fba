// An operator at the admin page in a browser, by keyboard alone. The arguments are chromium or
// firefox, its executable, the page's URL, and how to log in: "token" and the admin token, or
// "oidc" and the provider's host. A session of alice's has to be there, which is ended. What is not as it should be
// ends it with an error.
import assert from "node:assert/strict"
import { sitDown } from "./person.mjs"

const [, , name, executablePath, admin, way, word] = process.argv

const page = await sitDown(name, executablePath)
const { until, reads, gone, focused, tabTo } = page

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
  await reads("#who", "dave (read only)")
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
