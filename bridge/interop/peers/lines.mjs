// Standard input and output of a peer: one JSON object per line, see ../doc.go.
import { createInterface } from "node:readline"

/** Writes one event. */
export const emit = (event) => process.stdout.write(JSON.stringify(event) + "\n")

/** Frames of a command or an event are strings in which each character is one byte. */
export const toBytes = (frames) => frames.map((f) => Buffer.from(f, "latin1"))
export const toText = (frames) => frames.map((f) => Buffer.from(f).toString("latin1"))

/**
 * Serves commands until standard input ends, then calls end. Each command goes to the handler with
 * the name of its "do"; what a handler throws becomes an event "failed".
 */
export async function serve(handlers, end = () => {}) {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    try {
      await handlers[command.do](command)
    } catch (e) {
      emit({ socket: command.socket, event: "failed", error: String(e?.stack ?? e) })
    }
  }
  await end()
  process.exit(0)
}
