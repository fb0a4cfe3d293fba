// jszmq needs node:url only for its servers.
export const parse = undefined
