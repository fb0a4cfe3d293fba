// Event handlers by event name. SPDX-License-Identifier: MPL-2.0

/** The events of sockets and of a Mux. */
export const CONNECTION_EVENTS = ['ready', 'recovered', 'disconnect', 'refused', 'expiring', 'renewed'];

/** Calls handler. What it throws is reported to the page, and the socket goes on. */
export function call(handler, event) {
  try {
    handler(event);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

export class Events {
  #handlers;
  #changed;

  /** changed(name), if given, is called when handlers are added or removed. */
  constructor(names, changed) {
    this.#handlers = new Map(names.map((name) => [name, []]));
    this.#changed = changed;
  }

  on(name, handler) {
    return this.#update(name, handler, (handlers) => [...handlers, { handler, call: handler }]);
  }

  /** Calls handler for the next event only. */
  once(name, handler) {
    return this.#update(name, handler, (handlers) => [...handlers, { handler, call: (event) => { this.off(name, handler); handler(event); } }]);
  }

  off(name, handler) {
    return this.#update(name, handler, (handlers) => handlers.filter((h) => h.handler !== handler));
  }

  /** Whether the event has handlers. */
  has(name) {
    return this.#handlers.get(name).length > 0;
  }

  /** Replaces the handlers of an event; an emit in progress keeps the old list. */
  #update(name, handler, change) {
    const handlers = this.#handlers.get(name);
    if (typeof handler !== 'function') throw new TypeError(`event handler is ${String(handler)}, want a function`);
    if (!handlers) throw new TypeError(`unknown event "${name}", want one of ${[...this.#handlers.keys()].join(', ')}`);
    this.#handlers.set(name, change(handlers));
    this.#changed?.(name);
    return this;
  }

  emit(name, event) {
    for (const handler of this.#handlers.get(name)) call(handler.call, event);
  }
}
