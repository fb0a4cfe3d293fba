// The client in a page or in its worker. begin gets a function that emits events and defines handle,
// which takes commands.
import * as sockets from "/zws.js"
import * as mux from "/zws/mux.js"
import * as relay from "/zws/relay.js"
import { driver } from "/driver.js"

const zws = { ...sockets, ...mux, ...relay }

window.begin = (emit, inWorker) => {
  if (!inWorker) {
    const drive = driver(zws, emit)
    window.handle = (command) => drive[command.do](command)
    return
  }
  const worker = new Worker("/worker.js", { type: "module" })
  worker.onmessage = ({ data }) => emit(data)
  worker.onerror = ({ message }) => emit({ socket: 0, event: "failed", error: message })
  window.handle = (command) => worker.postMessage(command)
}
