// Uses the demo's portal as ann, by keyboard alone: a wrong password, her readings, which a reload
// keeps, a switch, and a house that she is not allowed to see. The arguments are chromium or firefox,
// its executable, the portal's URL and her password.
import { openPage } from "./keyboard.mjs"

const [, , name, executablePath, portal, password] = process.argv
const page = await openPage(name, executablePath)
const { until, reads, focused, tabTo } = page

// How many readings the first sparkline shows.
const count = "Number(/in the last (\\d+) s/.exec(document.body.innerText)?.[1] ?? 0)"

async function enter(secret) {
  await page.type("ann")
  await page.press("Tab")
  await page.type(secret)
  await page.press("Enter")
}

try {
  await page.visit(portal)
  await focused("#user")
  await enter("guessed")
  await reads("#notice", "User name or password is wrong. (4400")
  await page.visit(portal)
  await focused("#user")
  await enter(password)
  await reads("#who", "ann")
  await reads("#live", "You are not allowed to do this. (4403")
  await until("a temperature is there", "() => /\\d\\.\\d °C/.test(document.querySelector('.temperature')?.innerText)")
  await until("its history is there", `() => document.querySelector('polyline') && ${count} >= 4`)
  // A reloaded page has the readings of before: more than can have come since it was opened, one per second.
  await page.visit(portal)
  await focused("#user")
  await enter(password)
  await until("it has the readings of before", `() => ${count} > performance.now() / 1000 + 2`)
  await tabTo("[role=switch]")
  await page.press("Enter")
  await reads("#live", "ok: house ann turns the light")
} finally {
  await page.end()
}
