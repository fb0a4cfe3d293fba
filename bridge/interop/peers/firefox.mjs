// Firefox by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/): just what the tests need.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { WebSocket } from "ws"

/** Starts a Firefox with a profile of its own and gives the address of its WebDriver. */
async function launch(executable) {
  const profile = mkdtempSync(join(tmpdir(), "firefox-"))
  const child = spawn(executable, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
    { stdio: ["ignore", "ignore", "pipe"] })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  let address
  for await (const line of createInterface({ input: child.stderr })) {
    address = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1]
    if (address) break
  }
  if (!address) throw new Error("firefox ended without WebDriver BiDi")
  child.stderr.resume()
  return {
    address,
    async end() {
      child.kill()
      await ended
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A value as an argument of script.callFunction. */
const local = (value) => {
  if (value?.type === "channel") return value
  if (Array.isArray(value)) return { type: "array", value: value.map(local) }
  if (value && typeof value === "object") return { type: "object", value: Object.entries(value).map(([k, v]) => [k, local(v)]) }
  return value === undefined ? { type: "undefined" } : { type: typeof value, value }
}

/** The value of a result, of which the tests have strings, numbers, lists and objects. */
const remote = ({ type, value }) => {
  if (type === "array") return value.map(remote)
  if (type === "object") return Object.fromEntries(value.map(([k, v]) => [k, remote(v)]))
  return value
}

export async function openFirefox(executable) {
  const firefox = await launch(executable)
  const ws = new WebSocket(`${firefox.address}/session`)
  const answers = new Map() // by the id of the command
  const hearers = new Map() // by the page
  let last = 0
  const command = (method, params) => new Promise((resolve, reject) => {
    answers.set(++last, { resolve, reject })
    ws.send(JSON.stringify({ id: last, method, params }))
  })
  ws.on("message", (data) => {
    const message = JSON.parse(data)
    if (message.type === "success") answers.get(message.id).resolve(message.result)
    if (message.type === "error") answers.get(message.id).reject(new Error(`${message.error}: ${message.message}`))
    if (message.method === "script.message") hearers.get(message.params.source.context)(remote(message.params.data))
  })
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject))
  await command("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
  await command("session.subscribe", { events: ["script.message"] })

  return {
    /** As an argument of call: a function that tells what visit was given. */
    channel: { type: "channel", value: { channel: "say", serializationOptions: { maxObjectDepth: 3 } } },

    async visit(url, hear) {
      const { context } = await command("browsingContext.create", { type: "tab" })
      hearers.set(context, hear)
      await command("browsingContext.navigate", { context, url, wait: "complete" })
      return {
        async call(functionDeclaration, ...values) {
          const { type, exceptionDetails, result } = await command("script.callFunction",
            { functionDeclaration, awaitPromise: true, target: { context }, arguments: values.map(local) })
          if (type === "exception") throw new Error(exceptionDetails.text)
          return remote(result)
        },

        /** Presses keys one after the other, as WebDriver calls them; a list is pressed together. */
        async press(...keys) {
          const actions = keys.map((key) => [key].flat()).flatMap((chord) =>
            [...chord.map((value) => ({ type: "keyDown", value })), ...chord.map((value) => ({ type: "keyUp", value }))])
          await command("input.performActions", { context, actions: [{ type: "key", id: "keyboard", actions }] })
        },
      }
    },

    async end() {
      ws.terminate()
      await firefox.end()
    },
  }
}
