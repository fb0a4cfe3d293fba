// Checks the demo's portal and the admin page in Chromium as their users see them: by keyboard, on
// a phone, with a dark theme. The arguments are the browser, the portal's URL, the passwords of ann
// and bob, the admin page's URL, its token, and optionally a directory for screenshots. It exits
// with an error if anything is not as expected.
import assert from "node:assert/strict"
import { chromium } from "playwright-core"

const [, , executablePath, portal, ann, bob, admin, token, directory] = process.argv
const browser = await chromium.launch({
  executablePath,
  args: [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
})

const wide = { width: 1180, height: 860 }, phone = { width: 390, height: 844 }

/** Opens a page and records errors, violations of its policy and requests to other origins. */
async function open(url, { viewport = wide, colorScheme = "light" } = {}) {
  const page = await browser.newPage({ ignoreHTTPSErrors: true, viewport, colorScheme, deviceScaleFactor: 1 })
  page.setDefaultTimeout(30_000)
  page.complaints = []
  page.on("pageerror", (e) => page.complaints.push(String(e)))
  page.on("console", (m) => { if (m.type() === "error") page.complaints.push(m.text()) })
  page.on("request", (r) => { if (!r.url().startsWith(new URL(url).origin) && !r.url().startsWith("data:")) page.complaints.push(r.url()) })
  await page.goto(url)
  return page
}

/** Checks that nothing is wider than the window, and that every control has a name. */
async function sound(page, name) {
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(wider <= 0, `${name}: ${wider} pixels wider than the window`)
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select")]
    .filter((e) => e.offsetParent && !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length))
    .map((e) => e.outerHTML))
  assert.deepEqual(nameless, [], `${name}: controls without a name`)
}

const picture = async (page, name) => {
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: `${directory}/${name}.png` })
}
const quiet = (page, name, allowed = /$^/) => assert.deepEqual(page.complaints.filter((c) => !allowed.test(c)), [], name)

/** Logs in by keyboard: the first field has the focus. */
async function enter(page, user, password) {
  await page.keyboard.type(user)
  await page.keyboard.press("Tab")
  await page.keyboard.type(password)
  await page.keyboard.press("Enter")
}

const house = (page, name) => page.getByRole("region", { name: `${name}’s house` })
const card = (page, name, room) => house(page, name).getByRole("article", { name: room })

/** Waits until a locator has the text. */
async function reads(locator, want) {
  await locator.filter({ hasText: want }).first().waitFor()
}

async function refusedPortal() {
  const page = await open(portal)
  await enter(page, "ann", "guessed")
  await reads(page.getByRole("alert"), /User name or password is wrong\. \(4400/)
  await sound(page, "portal, refused")
  quiet(page, "portal, refused", /WebSocket/)
  await page.close()
}

async function annsPortal() {
  const page = await open(portal)
  await enter(page, "Ann", ann) // as phones write it
  const kitchen = card(page, "Ann", "Kitchen")
  await reads(kitchen.locator(".temperature"), /^\d+\.\d °C$/)
  await kitchen.locator("polyline").waitFor() // from the second reading on
  await reads(house(page, "Bob"), /You are not allowed to do this\. \(4403/)
  const light = kitchen.getByRole("switch")
  const before = await light.getAttribute("aria-checked")
  await light.focus()
  await page.keyboard.press("Space")
  await reads(kitchen.locator(".answer"), /^ok: house ann turns the light in its kitchen (on|off)$/)
  await page.waitForFunction(([e, was]) => e.getAttribute("aria-checked") !== was, [await light.elementHandle(), before])
  await kitchen.getByLabel("Heat to").fill("24.5")
  await page.keyboard.press("Enter")
  await reads(kitchen.locator(".answer"), /^ok: house ann heats its kitchen to 24\.5 °C$/)
  await kitchen.getByLabel("Heat to").fill("24")
  await kitchen.getByRole("button", { name: "Set" }).click()
  await reads(kitchen.locator(".answer"), /to 24 °C$/)
  await sound(page, "portal, ann")
  quiet(page, "portal, ann", /WebSocket/)
  return page
}

async function bobsPortal(viewport, colorScheme) {
  const page = await open(portal, { viewport, colorScheme })
  await enter(page, "bob", bob)
  await reads(card(page, "Ann", "Bedroom").locator(".temperature"), /°C$/)
  const bedroom = card(page, "Bob", "Bedroom")
  await reads(bedroom.locator(".temperature"), /°C$/)
  await card(page, "Ann", "Bedroom").locator("[role=switch][aria-disabled=true]").click({ force: true }) // it looks so before
  await reads(card(page, "Ann", "Bedroom").locator(".answer"), /You are not allowed to do this\. \(4403/)
  await sound(page, "portal, bob")
  return page
}

async function adminPage(viewport, colorScheme) {
  const page = await open(admin, { viewport, colorScheme })
  await page.locator("#token:focus").waitFor()
  await page.keyboard.type("guessed")
  await page.keyboard.press("Enter")
  await reads(page.getByRole("alert"), /Login refused/)
  await sound(page, "admin, refused")
  await page.locator("#token:focus").waitFor()
  await page.keyboard.type(token)
  await page.keyboard.press("Enter")
  await reads(page.locator("#sessions tbody"), /\bann\b/)
  await reads(page.locator("#backends tbody"), /ready/)
  await reads(page.locator("#routes tbody"), "/devices")
  await reads(page.locator("#histories tbody"), /devices.*ok.*this bridge/)
  await reads(page.locator("#histories [data-head=Rate]"), /^[1-9][\d.,]* \/s$/) // from the second update on
  await reads(page.locator("#queues tbody"), /ann.*phone.*devices.*ago/)
  await reads(page.locator("#refusals tbody"), /not permitted|invalid or missing credentials/)
  await reads(page.locator("#recent tbody"), /ann.*login refused.*4400/)
  await reads(page.locator("#version"), /./)
  const tops = await page.evaluate(() => ["tiles", "backends", "recent", "sessions"].map((id) => document.getElementById(id).getBoundingClientRect().top))
  assert.deepEqual(tops, [...tops].sort((a, b) => a - b), "the order of the page")
  await page.getByLabel("Search sessions").fill("nobody of that name")
  await page.getByText("No session matches the search.").waitFor()
  assert.match(await page.locator("#n-sessions").textContent(), /^0 of [1-9]/)
  await page.getByLabel("Search sessions").fill("ANN")
  await page.getByLabel("Sort sessions by").selectOption("-session")
  await reads(page.locator("#sessions tbody"), /\bann\b/)
  await page.getByLabel("Search sessions").fill("")
  await page.locator("#n-sessions").filter({ hasText: /^[1-9]\d*$/ }).waitFor()
  if (page.viewportSize().width < 400) {
    const heights = await page.evaluate(() => [...document.querySelectorAll("#sessions tbody tr")].map((row) => row.getBoundingClientRect().height))
    assert.ok(Math.max(...heights) < 80, `rows of ${heights} pixels are more than two lines`)
  }
  await sound(page, "admin")
  quiet(page, "admin", /401/)
  return page
}

/** Deletes the queue of ann, by keyboard. */
async function deleteQueue(page) {
  await page.getByRole("button", { name: "Delete the queue phone of ann on /devices" }).focus()
  await page.keyboard.press("Enter")
  const dialog = page.getByRole("dialog")
  await reads(dialog, /The queue “phone” of ann on \/devices/)
  const { x, width } = await dialog.boundingBox()
  assert.ok(x > 0 && x + width < page.viewportSize().width, `the dialog is ${width} pixels wide, from ${x}`)
  await dialog.getByRole("button", { name: "Delete the queue" }).focus()
  await page.keyboard.press("Enter")
  await page.locator("#permanent").waitFor({ state: "hidden" })
}

/** Ends all sessions of ann from the admin page; her portal explains it. */
async function kick(adminPage, portalPage) {
  await adminPage.getByRole("button", { name: /End the session of ann/ }).first().focus()
  await adminPage.keyboard.press("Enter")
  const dialog = adminPage.getByRole("dialog")
  await reads(dialog, /ann on/)
  await dialog.getByRole("button", { name: "End all sessions of this user" }).click()
  await reads(portalPage.getByRole("alert"), /Your login has ended\. Log in again\. \(4401/)
  await adminPage.locator("#sessions tbody").filter({ hasNotText: /\bann\b/ }).waitFor()
  await adminPage.getByRole("button", { name: "Log out" }).click()
  await adminPage.getByLabel("Admin token").waitFor()
  await adminPage.reload()
  await adminPage.getByLabel("Admin token").waitFor()
}

try {
  await refusedPortal()
  const annsPage = await annsPortal()
  const bobs = [await bobsPortal(wide, "light"), await bobsPortal(wide, "dark"), await bobsPortal(phone, "light")]
  const admins = [await adminPage(wide, "light"), await adminPage(wide, "dark"), await adminPage(phone, "light")]
  if (directory) {
    await new Promise((resolve) => setTimeout(resolve, 40_000)) // the sparklines need some readings
    await picture(annsPage, "portal-ann")
    for (const [i, kind] of ["light", "dark", "phone"].entries()) {
      await picture(bobs[i], `portal-${kind}`)
      await picture(admins[i], `admin-${kind}`)
    }
    await picture(await open(portal), "portal-login")
    await picture(await open(admin), "admin-login")
  }
  await deleteQueue(admins[2])
  await kick(admins[0], annsPage)
} finally {
  await browser.close()
}
