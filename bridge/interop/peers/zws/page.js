// The client in a page, and in a worker of it. begin is given a function that takes events
// and makes obey, which takes orders.
import * as sockets from "/zws.js"
import * as mux from "/zws/mux.js"
import * as relay from "/zws/relay.js"
import { driver } from "/driver.js"

const zws = { ...sockets, ...mux, ...relay }

window.begin = (say, inWorker) => {
  if (!inWorker) {
    const drive = driver(zws, say)
    window.obey = (order) => drive[order.do](order)
    return
  }
  const worker = new Worker("/worker.js", { type: "module" })
  worker.onmessage = ({ data }) => say(data)
  worker.onerror = ({ message }) => say({ socket: 0, event: "failed", error: message })
  window.obey = (order) => worker.postMessage(order)
}
