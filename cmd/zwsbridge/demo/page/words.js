// What the close codes of the bridge mean for a resident, who knows nothing of protocols.
const words = {
  1000: 'The connection was closed.',
  1001: 'The bridge is being restarted.',
  1002: 'This page and the bridge do not understand each other. Load the page again.',
  1003: 'This page and the bridge do not understand each other. Load the page again.',
  1006: 'There is no connection. Is the network there?',
  1009: 'The message was too large.',
  1011: 'Something went wrong inside the bridge.',
  4300: 'The login cannot be checked just now.',
  4400: 'User name or password is wrong.',
  4401: 'Your login has ended. Log in again.',
  4403: 'You are not allowed to do this.',
  4404: 'The bridge knows no such place.',
  4406: 'The bridge does not take this kind of connection here.',
  4408: 'The login took too long.',
  4429: 'Too many attempts. Wait a minute.',
  4500: 'The login service of the bridge is broken. Tell whoever looks after it.',
  4502: 'The house does not let the bridge in.',
  4503: 'The house cannot be reached.',
  4504: 'The house does not answer.',
  4508: 'This page was too slow to keep up.',
};

/** A sentence for a person, and in brackets what to tell who looks after the bridge. */
export const explain = ({ code, reason }) => `${words[code] ?? 'The connection was closed.'} (${code}${reason ? `: ${reason}` : ''})`;
