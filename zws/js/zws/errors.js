// Errors, close codes, and which codes are final. SPDX-License-Identifier: MPL-2.0

/** An operation that the socket cannot do now; zws.d.ts lists the codes. */
export class SocketError extends Error {
  name = 'SocketError';

  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The application itself has closed the socket or its Mux, or disconnected it. */
export class ClosedError extends SocketError {
  name = 'ClosedError';

  constructor(message) {
    super('ECLOSED', message);
  }
}

/** The server refuses this client; a retry with the same credentials cannot succeed. */
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

/** The server violated the protocol or exceeded a limit of this client. */
export class ProtocolError extends Error {
  constructor(text, code = 1002) {
    super(text);
    this.code = code;
  }
}

export const TOO_LARGE = 1009;
export const EXPIRED = 4401;
export const NOT_ACCEPTABLE = 4406;
export const TOO_MANY = 4429;

/** Throws unless a message of the server, so far, is within the limits of the options. */
export function checkLimits(size, frames, { maxMessageSize, maxFrames }) {
  const limit = size > maxMessageSize ? `${maxMessageSize} bytes` : frames > maxFrames && `${maxFrames} frames`;
  if (limit) throw new ProtocolError(`message too large: want at most ${limit}`, TOO_LARGE);
}

// After any other code, and after none, a retry with the same credentials can succeed.
const FINAL = [1002, 1003, 1007, TOO_LARGE, 4400, EXPIRED, 4403, 4404, NOT_ACCEPTABLE, 4409, 4500, 4502];

export const isFinal = (code) => FINAL.includes(code);

// Reasons to show where the server gave none.
const REASONS = {
  1000: 'closed by the server',
  1001: 'the server is shutting down',
  1005: 'closed by the server',
  1006: 'the connection failed or was lost',
};

export const reasonOf = (code) => REASONS[code] ?? 'closed by the server without a reason';
