// What goes wrong, and what of it is final. SPDX-License-Identifier: MPL-2.0

/** What a socket cannot do at present. Its code says why; zws.d.ts lists them. */
export class SocketError extends Error {
  name = 'SocketError';

  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** A server does not want us, and trying again with the same credentials has no use. */
export class RefusedError extends Error {
  name = 'RefusedError';

  /** status is that of the server's ERROR command, 0 without one. */
  constructor(code, reason, status = 0) {
    super(`${code} ${reason}`);
    this.code = code;
    this.reason = reason;
    this.status = status;
  }
}

/** The server broke the protocol, or a limit of ours. */
export class ProtocolError extends Error {
  constructor(text, code = 1002) {
    super(text);
    this.code = code;
  }
}

export const TOO_LARGE = 1009;
export const EXPIRED = 4401;
export const NOT_TAKEN = 4406;
export const TOO_MANY = 4429;

// After any other code, and after no code, the same credentials may do another time.
const FINAL = [1002, 1003, 1007, TOO_LARGE, 4400, EXPIRED, 4403, 4404, NOT_TAKEN, 4500, 4502];

export const isFinal = (code) => FINAL.includes(code);

/** The close code that says what an ERROR with this status says. */
export const codeOfStatus = (status) => ({ 300: 4300, 400: 4400, 500: 4500 })[status] ?? 4400;

// What a closed connection is for a person if the server gave no reason.
const REASONS = {
  1000: 'closed by the server',
  1001: 'the server is shutting down',
  1005: 'closed by the server',
  1006: 'the connection failed or was lost',
};

export const reasonOf = (code) => REASONS[code] ?? 'closed by the server without a reason';
