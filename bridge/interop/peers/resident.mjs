// Ann at the demo's portal in a browser, by keyboard alone: a wrong password, her readings, a
// switch, and the house that is not hers. The arguments are chromium or firefox, its
// executable, the portal's URL and her password.
import { sitDown } from "./person.mjs"

const [, , name, executablePath, portal, password] = process.argv
const page = await sitDown(name, executablePath)
const { until, reads, focused, tabTo } = page

async function enter(word) {
  await page.type("ann")
  await page.press("Tab")
  await page.type(word)
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
