// The client in a worker: its messages are commands and events.
import * as sockets from "/zws.js"
import * as mux from "/zws/mux.js"
import * as relay from "/zws/relay.js"
import { driver } from "/driver.js"

const zws = { ...sockets, ...mux, ...relay }
const drive = driver(zws, (event) => postMessage(event))
onmessage = ({ data }) => drive[data.do](data)
