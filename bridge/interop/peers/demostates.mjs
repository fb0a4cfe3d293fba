// Looks at the demo's portal while its sockets connect, and when the bridge is gone: places for the
// readings while it connects, and dimmed readings without a bridge. The arguments are chromium or
// firefox, its executable, the portal's URL, ann's password and the id of the demo's process, which it
// ends.
import { openPage } from "./keyboard.mjs"

const [, , name, executablePath, portal, password, id] = process.argv
const page = await openPage(name, executablePath)
const { until, reads, focused } = page

const own = "document.querySelector('section.house')"
const opacity = (selector) => `Number(getComputedStyle(${own}.querySelector('${selector}')).opacity)`

// Keeps back what the page sends on WebSockets other than its first, which tries the password, until
// window.release is called.
const hold = `() => {
  const send = WebSocket.prototype.send, held = window.held = []
  let holding = true, first
  WebSocket.prototype.send = function (data) {
    first ??= this
    if (holding && this !== first) held.push([this, data.slice()])
    else send.call(this, data)
  }
  window.release = () => { holding = false; held.forEach(([socket, data]) => send.call(socket, data)); return true }
  return true
}`

try {
  await page.visit(portal)
  await until("what it will send is kept back", hold)
  await focused("#user")
  await page.type("ann")
  await page.press("Tab")
  await page.type(password)
  await page.press("Enter")
  await until("the sockets of the houses wait", "() => window.held.length > 0")
  await until("two rooms have a place while the page connects",
    `() => ${own}.querySelectorAll('.skeleton').length === 2 && ${own}.querySelector('.skeleton').checkVisibility()`)
  await reads("section.house .state", "connecting …")
  await until("it is released", "() => window.release()")
  await reads("section.house .state", "live")
  await until("readings are in their places, not dimmed",
    `() => ${own}.querySelectorAll('.temperature').length === 2 && !${own}.querySelector('.skeleton') && ${opacity(".temperature")} === 1`)
  process.kill(Number(id), "SIGTERM")
  await reads("section.house .state", "reconnecting")
  await until("the readings are still there, and dimmed",
    `() => /\\d\\.\\d °C/.test(${own}.querySelector('.temperature').innerText) && ${opacity(".temperature")} < 0.6`)
} finally {
  await page.end()
}
