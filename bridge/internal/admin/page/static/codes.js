// Short texts for the bridge's WebSocket close codes and for failed logins with a provider.

const meanings = {
  1000: 'the client closed the connection',
  1001: 'the page was left, or the bridge or the route was restarted',
  1002: 'the client violated the protocol',
  1003: 'a text frame instead of a binary one, or the reverse',
  1005: 'the client closed the connection without a code',
  1006: 'the connection was lost',
  1007: 'text that is not UTF-8',
  1009: 'message too large',
  1011: 'internal error',
  4300: 'the login could not be checked',
  4400: 'invalid or missing credentials',
  4401: 'login expired or ended',
  4403: 'not permitted',
  4404: 'unknown route',
  4406: 'socket type, mechanism or subprotocol not accepted',
  4408: 'the client did not answer during the login',
  4409: 'taken over by another connection of the user',
  4429: 'too many connections, attempts or subscriptions',
  4500: 'the ZAP handler failed',
  4502: 'a backend refused the login',
  4503: 'no backend could be reached',
  4504: 'a backend did not answer in time',
  4508: 'the client read too slowly',
};

/** Returns the meaning of a close code, '' for an unknown one. */
export const meaning = (code) => meanings[code] ?? '';

// By the reason that the bridge puts into the page's URL after a failed login with the provider.
const loginFailures = {
  stale: 'This login was started too long ago, or in another browser. Try again.',
  declined: 'The provider did not let you in.',
  unavailable: 'The provider cannot be reached or does not work. Try again later.',
  failed: 'The answer of the provider could not be accepted. The log of the bridge says why.',
  refused: 'The bridge does not accept the token from the provider. The log of the bridge says why.',
  untagged: 'You may not use this page: your login is tagged neither monitoring nor administrator.',
  unchecked: 'The login cannot be checked at the moment. Try again later.',
};

/** Returns the text for a reason, '' for an unknown one. */
export const loginFailure = (reason) => Object.hasOwn(loginFailures, reason) ? loginFailures[reason] : '';
