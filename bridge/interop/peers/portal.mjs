// Logs in at the portal of the examples, with a wrong password and with the right one. The
// arguments are the browser, the page's URL, user and password.
import { chromium } from "playwright-core"

const [, , executablePath, address, user, password] = process.argv
const browser = await chromium.launch({ executablePath, args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"] })
try {
  const page = await browser.newPage({ ignoreHTTPSErrors: true })
  page.setDefaultTimeout(30_000)
  await page.goto(address)
  const login = async (secret, answer) => {
    await page.getByLabel("User").fill(user.toUpperCase())
    await page.getByLabel("Password").fill(secret)
    await page.getByRole("button", { name: "Log in" }).click()
    await page.getByRole("status").filter({ hasText: answer }).waitFor()
  }
  await login("guessed", /^4400 login refused$/)
  await login(password, /^connected$/)
  await page.locator("dt", { hasText: "house/alice/temperature" }).waitFor()
  await page.locator("dd", { hasText: /^2\d\.\d$/ }).waitFor()
  await page.waitForFunction(() => document.querySelector("polyline").getAttribute("points").split(" ").length > 1)
  await page.getByRole("button", { name: "On" }).click()
  await page.locator("output", { hasText: "ok: the light is on" }).waitFor()
  await page.locator("li", { hasText: "4400 login refused" }).waitFor()
} finally {
  await browser.close()
}
