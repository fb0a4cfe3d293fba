// What ends a connection, and when the next attempt is. The test plays the server.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';

import { RefusedError, plain } from '../zws.js';
import { begin, settle } from './fake.js';

test.beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 1); // always the longest delay
});
test.afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

/** Advances the clock by ms and runs what that triggers. */
async function advance(ms) {
  mock.timers.tick(ms);
  await settle();
}

const FINAL = [1002, 1003, 1009, 4400, 4401, 4403, 4404, 4406, 4409, 4500, 4502];
const LATER = [1000, 1001, 1005, 1006, 1011, 4300, 4408, 4429, 4503, 4504, 4508, 3000];

for (const code of FINAL) {
  test(`${code} is final`, async () => {
    const { ws, ready, opened, events, socket } = await begin({ login: plain('ann', 'secret') });
    ws.open().lose(code, 'because');
    await assert.rejects(ready, { name: 'RefusedError', code, reason: 'because', message: `${code} because` });
    assert.deepEqual(events, [['refused', { code, reason: 'because', status: 0 }]]);
    await assert.rejects(socket.receive(), RefusedError);
    await advance(600_000);
    assert.equal(opened.length, 1);
  });
}

for (const code of LATER) {
  test(`reconnects after ${code}`, async () => {
    const { ws, events, opened } = await begin();
    ws.open().lose(code, 'because');
    const delay = code === 4429 ? 30_000 : 250;
    assert.deepEqual(events, [['disconnect', { code, reason: 'because', delay, cause: undefined }]]);
    await advance(delay - 1);
    assert.equal(opened.length, 1);
    await advance(1);
    assert.equal(opened.length, 2);
  });
}

test('doubles the delay up to the limit until a connection has been stable', async () => {
  const { opened, events } = await begin({ reconnectInterval: 100, reconnectMaxInterval: 1000 });
  for (const delay of [100, 200, 400, 800, 1000, 1000]) {
    opened.at(-1).lose();
    assert.equal(events.at(-1)[1].delay, delay);
    await advance(delay);
  }
  opened.at(-1).login('PUB').lose();
  assert.equal(events.at(-1)[1].delay, 1000, 'it was not ready for long enough');
  await advance(1000);
  opened.at(-1).login('PUB');
  await advance(10_000);
  opened.at(-1).lose();
  assert.equal(events.at(-1)[1].delay, 100);
});

for (const [reason, seconds] of [
  ['too many logins at the same time; retry in 7s', 7],
  ['; retry in 1s', 1],
  ['the bridge is restarting; retry in 600s', 600], // longer than reconnectMaxInterval
]) {
  for (const code of [1001, 4300, 4429]) {
    test(`waits as the server advises: ${code} ${reason}`, async () => {
      for (const [random, delay] of [[0, seconds * 1000], [1, seconds * 1500]]) {
        Math.random.mock.mockImplementation(() => random);
        const { ws, events, opened } = await begin();
        ws.open().lose(code, reason);
        assert.deepEqual(events, [['disconnect', { code, reason, delay, cause: undefined }]]);
        await advance(delay - 1);
        assert.equal(opened.length, 1);
        await advance(1);
        assert.equal(opened.length, 2);
        opened[1].lose();
        assert.equal(events.at(-1)[1].delay, random ? 250 : 125, 'advice does not count as a failure');
      }
    });
  }
}

test('ignores what only looks like advice', async () => {
  for (const reason of ['; retry in 0s', '; retry in 601s', '; retry in 999s', '; retry in 6000s', '; retry in -1s',
    '; retry in 1.5s', '; retry in 5s.', 'retry in 5s', '; retry in 5', '; retry in 5s\n']) {
    const { ws, events } = await begin();
    ws.open().lose(4300, reason);
    assert.equal(events[0][1].delay, 250, reason);
  }
});

test('advice does not make a final code temporary', async () => {
  const { ws, ready } = await begin();
  ws.open().lose(4403, 'no; retry in 5s');
  await assert.rejects(ready, { code: 4403, reason: 'no; retry in 5s' });
});

test('an attempt that fails with error and without close', async () => {
  const { ws, events, opened, ready } = await begin();
  ws.fail();
  ws.fail(); // twice, if it is closed while it connects
  await advance(100);
  assert.equal(ws.closedWith, 1000);
  assert.deepEqual(events, [['disconnect', { code: 1006, reason: 'the connection failed or was lost', delay: 250, cause: undefined }]]);
  ws.fail(); // caused by closing it: ignored
  await advance(250);
  opened[1].fail();
  opened[1].lose(); // as in browsers
  await advance(100);
  assert.deepEqual(events.slice(1).map(([name, { code, delay }]) => [name, code, delay]), [['disconnect', 1006, 500]]);
  await advance(400);
  opened[2].login('PUB');
  await ready;
  opened[2].fail();
  opened[2].lose(4300, 'the reason of the close event; retry in 2s');
  assert.equal(events.at(-1)[1].delay, 3000);
  await advance(3000);
  assert.equal(opened.length, 4);
});

test('jitter shortens the delay by up to half', async () => {
  Math.random.mock.mockImplementation(() => 0);
  const { ws, events } = await begin();
  ws.lose();
  assert.equal(events[0][1].delay, 125);
});
