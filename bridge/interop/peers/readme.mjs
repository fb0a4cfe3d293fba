// Uses the sample page of a README, with a wrong password and with the right one. The arguments are
// the browser, the page's URL and the password.
import assert from "node:assert/strict"
import { chromium } from "playwright-core"

const [, , executablePath, url, password] = process.argv
const browser = await chromium.launch({ executablePath, args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"] })
try {
  for (const [secret, text] of [["guessed", "4400 login refused"], [password, "21.5 °C"]]) {
    const page = await browser.newPage()
    page.setDefaultTimeout(30_000)
    const errors = []
    page.on("pageerror", (e) => errors.push(String(e)))
    page.on("dialog", (dialog) => dialog.accept(secret))
    await page.goto(url)
    await page.getByText(text, { exact: true }).waitFor()
    assert.deepEqual(errors, [])
    await page.close()
  }
} finally {
  await browser.close()
}
