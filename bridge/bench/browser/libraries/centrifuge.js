export { Centrifuge } from "centrifuge"
