// The client in a worker: orders and events are its messages.
import * as zws from "/zws.js"
import { driver } from "/driver.js"

const drive = driver(zws, (event) => postMessage(event))
onmessage = ({ data }) => drive[data.do](data)
