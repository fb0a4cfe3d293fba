export { Sub } from "jszmq"
