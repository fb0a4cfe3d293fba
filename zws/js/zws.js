// ZeroMQ sockets for browsers, over WebSocket (45/ZWS), with the API of zeromq.js 6.
// README.md shows how to use it, zws.d.ts documents every name.
//
// SPDX-License-Identifier: MPL-2.0

export { Dealer, Pair, Pull, Push, Req, Sub, XSub } from './zws/patterns.js';
export { Req as Request, Sub as Subscriber, XSub as XSubscriber } from './zws/patterns.js';
export { bearer, curve, curveKeyPair, plain } from './zws/credentials.js';
export { ClosedError, RefusedError, SocketError } from './zws/errors.js';
export { Frame } from './zws/frame.js';
