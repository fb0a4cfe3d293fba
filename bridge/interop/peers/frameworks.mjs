// Uses an example with a framework in Chromium. The arguments are the browser, the page's URL, a user,
// the password and the name of the framework.
import assert from "node:assert/strict"
import { chromium } from "playwright-core"

const [, , executablePath, url, user, password, framework] = process.argv
const browser = await chromium.launch({
  executablePath,
  args: [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
})
try {
  const page = await browser.newPage({ viewport: { width: 600, height: 480 } })
  page.setDefaultTimeout(60_000)
  const complaints = [], sockets = []
  page.on("pageerror", (e) => complaints.push(String(e)))
  page.on("console", (m) => { if (["error", "warning"].includes(m.type())) complaints.push(m.text()) })
  page.on("websocket", (socket) => sockets.push(socket))

  const picture = async (name) => {
    const directory = process.env.ZWSBRIDGE_SCREENSHOTS
    if (directory) await page.screenshot({ path: `${directory}/${framework}-${name}.png` })
  }
  const state = (text) => page.getByRole("status").filter({ hasText: text }).waitFor()
  const closed = (socket) => socket.isClosed() || socket.waitForEvent("close")
  const login = async (secret) => {
    await page.getByLabel("User").fill(user)
    await page.getByLabel("Password").fill(secret)
    await page.getByRole("button", { name: "Log in" }).click()
  }
  const reading = (value) => page.locator("div", { hasText: `house/${user}/kitchen` }).locator("dd", { hasText: value }).waitFor()

  await page.goto(url)
  await login("guessed")
  await state(/^refused$/)
  await page.getByText("4400 login refused").first().waitFor()
  await picture("refused")
  await page.getByRole("button", { name: "Log out" }).click()
  assert.equal(sockets.length, 1)
  await closed(sockets[0])

  await login(password)
  await state(/^ready$/)
  await reading("21.5")
  assert.equal(await page.locator("dt").count(), 1)
  await picture("readings")
  await page.getByLabel("Readings").uncheck()
  await page.locator("dl").waitFor({ state: "detached" })
  await page.getByRole("button", { name: "Light on" }).click()
  await page.getByText("the light is on").waitFor()
  await picture("ready")
  assert.equal(sockets.length, 2, "one WebSocket for each login")
  assert.equal(sockets[1].isClosed(), false)
  await page.getByRole("button", { name: "Log out" }).click()
  await page.getByLabel("User").waitFor()
  await closed(sockets[1])
  assert.equal(sockets.length, 2)
  assert.deepEqual(complaints, [])
} finally {
  await browser.close()
}
