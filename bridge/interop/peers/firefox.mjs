// Firefox through WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), as far as the tests need it.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { WebSocket } from "ws"

/** Starts a Firefox with a new profile and returns the address of its WebDriver. */
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
  if (!address) throw new Error("firefox exited without WebDriver BiDi")
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

/** Converts a value to an argument of script.callFunction. */
const local = (value) => {
  if (value?.type === "channel") return value
  if (Array.isArray(value)) return { type: "array", value: value.map(local) }
  if (value && typeof value === "object") return { type: "object", value: Object.entries(value).map(([k, v]) => [k, local(v)]) }
  return value === undefined ? { type: "undefined" } : { type: typeof value, value }
}

/** Converts a result to a value: the tests use strings, numbers, lists and objects. */
const remote = ({ type, value }) => {
  if (type === "array") return value.map(remote)
  if (type === "object") return Object.fromEntries(value.map(([k, v]) => [k, remote(v)]))
  return value
}

export async function openFirefox(executable) {
  const firefox = await launch(executable)
  const ws = new WebSocket(`${firefox.address}/session`)
  const answers = new Map() // by command id
  const listeners = new Map() // by page
  let last = 0
  const command = (method, params) => new Promise((resolve, reject) => {
    answers.set(++last, { resolve, reject })
    ws.send(JSON.stringify({ id: last, method, params }))
  })
  ws.on("message", (data) => {
    const message = JSON.parse(data)
    if (message.type === "success") answers.get(message.id).resolve(message.result)
    if (message.type === "error") answers.get(message.id).reject(new Error(`${message.error}: ${message.message}`))
    if (message.method === "script.message") listeners.get(message.params.source.context)(remote(message.params.data))
  })
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject))
  await command("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
  await command("session.subscribe", { events: ["script.message"] })

  return {
    /** An argument for call: in the page it is a function that calls the listener given to visit. */
    channel: { type: "channel", value: { channel: "emit", serializationOptions: { maxObjectDepth: 3 } } },

    async visit(url, listener) {
      const { context } = await command("browsingContext.create", { type: "tab" })
      listeners.set(context, listener)
      await command("browsingContext.navigate", { context, url, wait: "complete" })
      return {
        async call(functionDeclaration, ...values) {
          const { type, exceptionDetails, result } = await command("script.callFunction",
            { functionDeclaration, awaitPromise: true, target: { context }, arguments: values.map(local) })
          if (type === "exception") throw new Error(exceptionDetails.text)
          return remote(result)
        },

        async offline(on) {
          await command("emulation.setNetworkConditions", { contexts: [context], networkConditions: on ? { type: "offline" } : null })
        },

        /** Presses keys, by their WebDriver names, one after the other; a list of keys is pressed together. */
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
