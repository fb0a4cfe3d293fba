// Waiting with a limit. SPDX-License-Identifier: MPL-2.0

/** Calls action when signal is aborted, and returns a function that ends that. */
export function whenAborted(signal, action) {
  signal.addEventListener('abort', action);
  return () => signal.removeEventListener('abort', action);
}

/**
 * Returns a promise that start(resolve, reject) settles. It rejects with timedOut after timeout ms, -1
 * being without limit, and when signal is aborted. cancel, if given, is called then.
 */
export function limited(start, { timeout, signal }, timedOut, cancel = () => {}) {
  return new Promise((resolve, reject) => {
    let timer, stop;
    const end = (settle) => (value) => {
      clearTimeout(timer);
      stop?.();
      settle(value);
    };
    const give = (error) => {
      cancel();
      end(reject)(error);
    };
    if (timeout >= 0) timer = setTimeout(() => give(timedOut), timeout);
    if (signal) stop = whenAborted(signal, () => give(signal.reason));
    start(end(resolve), end(reject));
  });
}
