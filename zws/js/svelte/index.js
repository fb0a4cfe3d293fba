// ZeroMQ sockets of @zwsbridge/zws as Svelte stores. index.d.ts documents them.
// SPDX-License-Identifier: MPL-2.0

import { connection, requests, subscription } from '@zwsbridge/zws/store';

/** Returns a store with the subscribe of Svelte's contract: the callback gets the value, first the current one. */
function readable({ subscribe, get, ...methods }) {
  return {
    ...methods,
    subscribe(run) {
      if (typeof document === 'undefined') { // a server renders the page
        run(get());
        return () => {};
      }
      const leave = subscribe(() => run(get()));
      run(get());
      return leave;
    },
  };
}

export const createConnection = (url, options) => readable(connection(url, options));

export const createSubscription = (target, topics, options) => readable(subscription(target, topics, options));

export const createRequest = (target, options) => readable(requests(target, options));
