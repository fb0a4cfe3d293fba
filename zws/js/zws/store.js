// Sockets for user interfaces: as a value that changes, and listeners. The packages for React, Vue
// and Svelte are made of it. Only pages that import this module load it; store.d.ts documents it.
// SPDX-License-Identifier: MPL-2.0

import { ClosedError, RefusedError } from './errors.js';
import { call } from './events.js';
import { Mux } from './mux.js';
import { Req, Sub } from './patterns.js';

const INTERVAL = 16; // ms between updates for messages: a screen shows no more

/** Why a socket is not ready, and will try again. */
export class DisconnectError extends Error {
  name = 'DisconnectError';

  constructor({ code, reason, delay, cause }) {
    super(`${code} ${reason}`);
    Object.assign(this, { code, reason, delay, cause });
  }
}

/** A value and its listeners. Something runs as long as there are any. */
class Store {
  #initial;
  #start;
  #stop;
  #value;
  #changes;
  #listeners = new Set();
  #timer;

  /** initial() returns the first value. start() is called for the first listener, and what it returns after the last one. */
  constructor(initial, start) {
    this.#initial = initial;
    this.#start = start;
    this.#value = initial();
  }

  get = () => this.#value;

  subscribe = (listener) => {
    const entry = { listener }; // a function can subscribe more than once
    this.#listeners.add(entry);
    const leave = () => {
      if (this.#listeners.delete(entry) && !this.#listeners.size) this.#end();
    };
    if (this.#listeners.size > 1) return leave;
    try {
      this.#stop = this.#start();
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  };

  /** Whether there are listeners. */
  get _used() {
    return this.#listeners.size > 0;
  }

  /** Changes properties of the value and calls the listeners, at once or soon. */
  _set(changes, soon) {
    this.#changes = { ...this.#changes, ...changes };
    if (soon) this.#timer ??= setTimeout(() => this.#flush(), INTERVAL);
    else this.#flush();
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#value = { ...this.#value, ...this.#changes };
    this.#timer = this.#changes = undefined;
    for (const { listener } of this.#listeners) call(listener);
  }

  #end() {
    const stop = this.#stop;
    this.#stop = undefined;
    stop?.();
    clearTimeout(this.#timer);
    this.#timer = this.#changes = undefined;
    this.#value = this.#initial();
  }
}

/** Keeps state and error of a store those of a socket or a Mux. */
function follow(store, source) {
  const set = (error) => store._set({ state: source.state, error });
  source.events.on('ready', () => set()).on('recovered', () => set())
    .on('disconnect', (event) => set(new DisconnectError(event)))
    .on('refused', ({ code, reason, status }) => set(new RefusedError(code, reason, status)));
}

/** Connects a socket and returns a function that closes it. */
function open(store, socket, target) {
  follow(store, socket);
  const held = target._hold?.();
  const close = () => {
    socket.close();
    held?.release();
  };
  try {
    socket.connect(held?.route ?? target);
  } catch (error) {
    close();
    throw error;
  }
  return close;
}

const begun = (target) => ({ state: target == null ? 'idle' : 'connecting', error: undefined });

/** Returns the store of a connection that the stores of many sockets share. It is open while any of them is used, or itself. */
export function connection(url, options) {
  const routes = new Map(); // by path
  let mux, users = 0;
  const hold = () => {
    if (!users) {
      mux = new Mux(url, options);
      store._set({ state: mux.state, error: undefined });
      follow(store, mux);
    }
    users++; // now: wrong options have thrown
    return () => {
      if (--users) return;
      mux.close();
      mux = undefined;
      store._set(begun(url));
    };
  };
  // Without listeners the store follows a Mux that the stores of sockets use.
  const store = new Store(() => (mux ? store.get() : begun(url)), () => (url == null ? undefined : hold()));
  return Object.assign(store, {
    route(path) {
      if (url == null) return null;
      if (!routes.has(path)) {
        routes.set(path, {
          _hold() {
            const release = hold();
            try {
              return { route: mux.route(path), release };
            } catch (error) {
              release();
              throw error;
            }
          },
        });
      }
      return routes.get(path);
    },
    reconnect: () => mux?.reconnect(),
  });
}

/** Returns the store of what a Sub receives. */
export function subscription(target, topics, { initial, reduce = (_, message) => message, onMessage, ...options } = {}) {
  let sub;
  const first = () => (typeof initial === 'function' ? initial() : initial);
  const store = new Store(() => ({ ...begun(target), data: first(), lost: 0, resumed: undefined }), () => {
    if (target == null) return undefined;
    const own = sub = new Sub(options);
    let { data } = store.get();
    sub.subscribe(...[topics].flat());
    sub.on('message', (message) => {
      onMessage?.(message, own);
      if (own.closed) return; // by the last listener, which has left
      data = reduce(data, message);
      store._set({ data }, true);
    });
    sub.on('lost', ({ count }) => store._set({ lost: store.get().lost + count }))
      .on('resumed', ({ recovered, gap }) => store._set({ resumed: { recovered, gap } }));
    return open(store, sub, target);
  });
  return Object.assign(store, { reconnect: () => store._used && sub?.reconnect() });
}

/** Returns the store of a Req, with its requests. */
export function requests(target, options) {
  let req;
  const store = new Store(() => ({ ...begun(target), data: undefined, pending: 0 }), () => {
    if (target != null) return open(store, req = new Req(options), target);
  });
  const request = async (message, wait) => {
    if (target == null) throw new ClosedError('requests need a target');
    const release = store._used ? undefined : store.subscribe(() => {}), own = req;
    const pending = (n, more) => own === req && store._used && store._set({ pending: store.get().pending + n, ...more });
    pending(1, own.state === 'ready' ? { error: undefined } : {});
    try {
      const data = await own.request(message, wait);
      pending(-1, { data, error: undefined });
      return data;
    } catch (error) {
      pending(-1, wait?.signal?.aborted ? {} : { error });
      throw error;
    } finally {
      release?.();
    }
  };
  return Object.assign(store, { request, reconnect: () => store._used && req?.reconnect() });
}
