// What a page has to write that uses no library at all: WebSocket and JSON, ZWSJSON1.0.

// Frames of an order are strings with one character an octet.
const encode = (frame) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(frame, (c) => c.charCodeAt(0)))
  } catch {
    return { b64: btoa(frame) }
  }
}
const decode = (frame) => (typeof frame === "string"
  ? Array.from(new TextEncoder().encode(frame), (octet) => String.fromCharCode(octet)).join("")
  : atob(frame.b64))

export function jsonSocket(WebSocket, { socket, connect, subscribe = [], options: { username, password, tokens } }, say) {
  const ws = new WebSocket(connect, "ZWSJSON1.0")
  const tell = (object) => ws.send(JSON.stringify(object))
  ws.onopen = () => tell({ op: "login", ...(tokens ? { token: tokens[0] } : { user: username, password }) })
  ws.onmessage = ({ data }) => {
    const { op, frames, code, reason } = JSON.parse(data)
    if (op === "ready") subscribe.forEach((topic) => tell({ op: "subscribe", topic }))
    say({ socket, event: op, frames: frames?.map(decode), code, reason })
  }
  ws.onclose = ({ code, reason }) => say({ socket, event: "close", code, reason })
  return {
    send: (frames) => tell({ op: "send", frames: frames.map(encode) }),
    close() {
      ws.onclose = null
      ws.close()
    },
  }
}
