// Uses the demo's portal as ann, by keyboard alone: a wrong password, her readings, a switch, and a
// house that she is not allowed to see. The arguments are chromium or firefox, its executable, the
// portal's URL and her password.
import { openPage } from "./keyboard.mjs"

const [, , name, executablePath, portal, password] = process.argv
const page = await openPage(name, executablePath)
const { until, reads, focused, tabTo } = page

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
  await until("its history is there", "() => document.querySelector('polyline')")
  await tabTo("[role=switch]")
  await page.press("Enter")
  await reads("#live", "ok: house ann turns the light")
} finally {
  await page.end()
}
