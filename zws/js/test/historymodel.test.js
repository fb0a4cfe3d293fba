// A Sub with a history against a model of a server: connections that are lost at any moment, a
// slow application and reloaded pages. Messages are numbered, and a number is also the position.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { settle } from './fake.js';
import { begin, dialects, until } from './fakehistory.js';

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

/** Returns a function that returns pseudo-random integers below n (mulberry32). */
function random(seed) {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** A server with one log, and its side of the client's current connection. */
class Server {
  published = 0;
  acknowledged = 0;
  #queued;
  #client;
  #next; // number of the message to send next
  #replayed; // the last one that is sent as replayed

  constructor(queued) {
    this.#queued = queued;
  }

  get connected() {
    return !!this.#client;
  }

  accept(client) {
    this.#client = client;
    if (this.#queued) this.#resume(this.acknowledged);
  }

  #resume(at) {
    this.#client.resumed(`${at}`);
    this.#next = at + 1;
    this.#replayed = this.published;
  }

  /** Handles what the client has sent or closed. */
  listen() {
    for (const [name, at] of this.#client?.take() ?? []) {
      if (name === 'ACK') this.acknowledged = Math.max(this.acknowledged, Number(at));
      if (name === 'RESUME') this.#resume(Number(at));
    }
    if (this.#client?.ws.closedWith) this.#client = undefined;
  }

  /** Sends the next message, or LIVE. */
  send() {
    if (!this.#client?.writable) return;
    if (this.#next > this.published) this.#client.live(`${this.published}`);
    else this.#client.message(`${this.#next}`, ['a', `${this.#next}`], this.#next++ <= this.#replayed ? 1e15 : undefined);
  }

  lose() {
    this.#client?.lose();
    this.#client = undefined;
  }
}

/** A page that reads one message at a time. */
class Page {
  numbers = [];
  #reading = false;

  constructor(client, stored) {
    this.client = client;
    this.stored = stored;
  }

  read() {
    if (this.#reading) return;
    this.#reading = true;
    this.client.socket.receive().then(([, number]) => {
      this.#reading = false;
      this.numbers.push(Number(number));
      this.stored = this.client.socket.position;
    }, () => {});
  }
}

/** Runs random actions, and returns the numbers that each page has read. */
async function run(dialect, queued, seed) {
  const next = random(seed), server = new Server(queued), pages = [];
  const load = async (stored) => {
    const options = { receiveHighWaterMark: 5, window: 100, ...(queued ? { queue: 'q' } : { position: stored }) };
    const client = await begin(dialect, options);
    client.socket.subscribe('a');
    await until(client.isWaiting);
    pages.push(new Page(client, stored));
  };
  const actions = {
    publish: () => { server.published++; },
    send: () => server.send(),
    read: () => pages.at(-1).read(),
    async connect() {
      mock.timers.tick(10);
      await settle();
      if (pages.at(-1).client.isWaiting() && !server.connected) server.accept(await pages.at(-1).client.accept());
    },
    wait: () => mock.timers.tick(100),
    lose: () => server.lose(),
    async reload() {
      server.lose();
      pages.at(-1).client.socket.close();
      await load(pages.at(-1).stored);
    },
  };
  const likely = ['publish', 'publish', 'send', 'send', 'send', 'read', 'read', 'read', 'connect', 'wait'];
  const act = async (name) => {
    await actions[name]();
    await settle();
    server.listen();
  };
  await load('');
  for (let i = 0; i < 400; i++) await act(next(20) ? likely[next(likely.length)] : ['lose', 'lose', 'reload'][next(3)]);
  for (let i = 0; pages.at(-1).numbers.at(-1) !== server.published && i < 1000; i++) {
    for (const name of ['connect', 'send', 'read', 'wait']) await act(name);
  }
  for (let i = 0; i < 10; i++) {
    for (const name of ['connect', 'send', 'read', 'wait']) await act(name); // nothing more comes, and acknowledgements arrive
  }
  return { server, pages: pages.map(({ numbers }) => numbers) };
}

const sequence = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (const dialect of dialects) {
  const seeds = Number(process.env.SEEDS) || (/NULL|MUX|SINGLE/.test(dialect) ? 4 : 1);

  test(`${dialect}: every message once, across connections and pages`, async () => {
    for (let seed = 0; seed < seeds; seed++) {
      const { server, pages } = await run(dialect, false, seed);
      assert.deepEqual(pages.flat(), sequence(1, server.published), `seed ${seed}`);
    }
  });

  test(`${dialect}: every message of a queue at least once, and once in each page`, async () => {
    for (let seed = 0; seed < seeds; seed++) {
      const { server, pages } = await run(dialect, true, seed);
      let last = 0;
      for (const numbers of pages.filter(({ length }) => length)) {
        assert.ok(numbers[0] <= last + 1, `seed ${seed}: nothing is missing between the pages`);
        assert.deepEqual(numbers, sequence(numbers[0], numbers.at(-1)), `seed ${seed}`);
        last = Math.max(last, numbers.at(-1));
      }
      assert.deepEqual([last, server.acknowledged], [server.published, server.published], `seed ${seed}`);
    }
  });
}
