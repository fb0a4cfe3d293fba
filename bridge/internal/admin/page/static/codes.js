// What the WebSocket close codes of the bridge mean, in few words.
const words = {
  1000: 'the client has left',
  1001: 'the page was left, or the bridge or the route was restarted',
  1002: 'the client broke the protocol',
  1003: 'a text frame where octets are due, or the reverse',
  1005: 'the client has left without a code',
  1006: 'the connection was lost',
  1007: 'a text that is not UTF-8',
  1009: 'too large a message',
  1011: 'internal error',
  4300: 'the login could not be checked',
  4400: 'wrong or missing login',
  4401: 'login expired or ended',
  4403: 'not allowed',
  4404: 'no such route',
  4406: 'socket type, mechanism or subprotocol not taken',
  4408: 'the client was silent during the login',
  4429: 'too many connections or attempts',
  4500: 'the ZAP handler is broken',
  4502: 'a backend refused the login',
  4503: 'no backend could be reached',
  4504: 'a backend did not answer in time',
  4508: 'the client read too slowly',
};

/** The meaning of a code; empty for one that is not ours. */
export const meaning = (code) => words[code] ?? '';

// Why a login with the provider came to nothing, as the bridge says in the page's URL.
const logins = {
  stale: 'This login was begun too long ago, or in another browser. Try again.',
  declined: 'The provider did not let you in.',
  unavailable: 'The provider cannot be reached, or is out of order. Try again later.',
  failed: 'The answer of the provider could not be accepted. The log of the bridge tells why.',
  refused: 'The bridge does not take the token that the provider gave. The log of the bridge tells why.',
  untagged: 'You are known, but may not look here: your login is tagged neither monitoring nor administrator.',
  unchecked: 'The login cannot be checked at present. Try again later.',
};

/** What to tell of such a reason; empty for one that is not ours. */
export const loginFailure = (reason) => Object.hasOwn(logins, reason) ? logins[reason] : '';
