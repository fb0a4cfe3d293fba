// All that a page without a library needs for ZWSJSON1.0: WebSocket and JSON.

// Frames of a command are strings in which each character is one byte.
const encode = (frame) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(frame, (c) => c.charCodeAt(0)))
  } catch {
    return { b64: btoa(frame) }
  }
}
const decode = (frame) => (typeof frame === "string"
  ? Array.from(new TextEncoder().encode(frame), (byte) => String.fromCharCode(byte)).join("")
  : atob(frame.b64))

export function jsonSocket(WebSocket, { socket, connect, subscribe = [], options: { username, password, tokens } }, emit) {
  const ws = new WebSocket(connect, "ZWSJSON1.0")
  const send = (object) => ws.send(JSON.stringify(object))
  ws.onopen = () => send({ op: "login", ...(tokens ? { token: tokens[0] } : { user: username, password }) })
  ws.onmessage = ({ data }) => {
    const { op, frames, code, reason } = JSON.parse(data)
    if (op === "ready") subscribe.forEach((topic) => send({ op: "subscribe", topic }))
    emit({ socket, event: op, frames: frames?.map(decode), code, reason })
  }
  ws.onclose = ({ code, reason }) => emit({ socket, event: "close", code, reason })
  return {
    send: (frames) => send({ op: "send", frames: frames.map(encode) }),
    close() {
      ws.onclose = null
      ws.close()
    },
  }
}
