// Uses the React example in Chromium. The arguments are the browser, the page's URL, a user and the
// password.
import assert from "node:assert/strict"
import { chromium } from "playwright-core"

const [, , executablePath, url, user, password] = process.argv
const browser = await chromium.launch({
  executablePath,
  args: [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
})
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  const complaints = []
  page.on("pageerror", (e) => complaints.push(String(e)))
  page.on("console", (m) => { if (m.type() === "error") complaints.push(m.text()) })

  const login = async (secret) => {
    await page.getByLabel("User").fill(user)
    await page.getByLabel("Password").fill(secret)
    await page.getByRole("button", { name: "Log in" }).click()
  }
  await page.goto(url)
  await login("guessed")
  await page.getByText("refused: login refused (4400)").waitFor()
  await page.getByRole("button", { name: "Log out" }).click()
  await login(password)
  await page.getByRole("status").filter({ hasText: "live" }).waitFor()
  await page.locator("dt", { hasText: `house/${user}/kitchen` }).waitFor()
  assert.equal(await page.locator("dd").first().textContent(), "21.5")
  assert.deepEqual(complaints, [])
} finally {
  await browser.close()
}
