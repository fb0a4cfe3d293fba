// Standard input and output of a peer: one JSON object a line, as ../doc.go tells.
import { createInterface } from "node:readline"

/** Writes one line. */
export const say = (line) => process.stdout.write(JSON.stringify(line) + "\n")

/** Frames in a line are strings, one character an octet. */
export const octets = (frames) => frames.map((f) => Buffer.from(f, "latin1"))
export const text = (frames) => frames.map((f) => Buffer.from(f).toString("latin1"))

/**
 * Obeys until standard input ends: each line goes to the function that is named after its
 * "do", and what that throws is told in an event "failed". Then end is called.
 */
export async function obey(verbs, end = () => {}) {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    try {
      await verbs[order.do](order)
    } catch (e) {
      say({ socket: order.socket, event: "failed", error: String(e?.stack ?? e) })
    }
  }
  await end()
  process.exit(0)
}
