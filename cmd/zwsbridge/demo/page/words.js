// What the close codes mean for a user who knows nothing about protocols.
const words = {
  1000: 'The connection was closed.',
  1001: 'The bridge is restarting.',
  1002: 'This page and the bridge do not understand each other. Reload the page.',
  1003: 'This page and the bridge do not understand each other. Reload the page.',
  1006: 'The connection was lost. Check your network.',
  1009: 'The message was too large.',
  1011: 'The bridge failed because of an internal error.',
  4300: 'Your login cannot be checked at the moment.',
  4400: 'User name or password is wrong.',
  4401: 'Your login has ended. Log in again.',
  4403: 'You are not allowed to do this.',
  4404: 'The bridge does not know this address.',
  4406: 'The bridge does not accept this kind of connection here.',
  4408: 'The login took too long.',
  4409: 'You have opened this in another window.',
  4429: 'Too many attempts. Wait a minute.',
  4500: 'The login service of the bridge does not work. Tell the administrator.',
  4502: 'The house refused the bridge.',
  4503: 'The house cannot be reached.',
  4504: 'The house does not answer.',
  4508: 'This page was too slow.',
};

/** Returns a sentence for the user, followed by code and reason for the administrator. */
export const explain = ({ code, reason }) => `${words[code] ?? 'The connection was closed.'} (${code}${reason ? `: ${reason}` : ''})`;
