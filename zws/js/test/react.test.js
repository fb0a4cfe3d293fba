// @zwsbridge/react in components. The test plays the server.

import './adapters/dom.js';

import assert from 'node:assert/strict';
import test from 'node:test';
import { StrictMode, createElement, useState } from 'react';
import { act, cleanup, render, renderHook, screen, waitFor } from '@testing-library/react';
import { renderToString } from 'react-dom/server';

import { useConnection, useRequest, useSubscription } from '@zwsbridge/react';
import { ClosedError, plain } from '../zws.js';
import { network, settle } from './fake.js';
import { network as muxNetwork } from './fakemux.js';

test.afterEach(cleanup);

const TARGET = 'wss://host/devices';
const serve = (action) => act(async () => {
  action();
  await settle();
});

for (const wrapper of [undefined, StrictMode]) {
  const name = wrapper ? 'in StrictMode' : 'without StrictMode';

  test(`useSubscription ${name}`, async () => {
    const { WebSocket, opened } = network();
    const { result, unmount } = renderHook(() => useSubscription(TARGET, ['a'], { WebSocket, decode: (message) => message.text() }), { wrapper });
    assert.deepEqual([result.current.state, result.current.data], ['connecting', undefined]);
    await serve(() => {});
    assert.equal(opened.length, 1, 'one connection');
    await serve(() => opened[0].login('PUB'));
    assert.equal(result.current.state, 'ready');
    opened[0].message('a', 'one');
    opened[0].message('a', 'two');
    await waitFor(() => assert.equal(result.current.data, 'two'));
    unmount();
    assert.equal(opened[0].closedWith, 1000);
    await serve(() => {});
    assert.equal(opened.length, 1);
  });

  test(`useRequest ${name}`, async () => {
    const { WebSocket, opened } = network();
    const { result, unmount } = renderHook(() => useRequest(TARGET, { WebSocket, decode: (message) => message.json() }), { wrapper });
    const { request } = result.current;
    await serve(() => {});
    await serve(() => opened[0].login('ROUTER'));
    assert.equal(result.current.request, request, 'the same function');
    let reply, late;
    await serve(() => { reply = request('1 + 1'); });
    assert.equal(result.current.pending, 1);
    await serve(() => opened[0].message(opened[0].messages[0][0], '', '2'));
    assert.deepEqual([await reply, result.current.data, result.current.pending], [2, 2, 0]);
    await serve(() => { late = assert.rejects(request('2 + 2'), ClosedError); });
    unmount();
    await late;
    assert.equal(opened.length, 1);
  });
}

test('the callbacks are those of the latest rendering, and other objects do not connect again', async () => {
  const { WebSocket, opened } = network(), login = plain('ann', 'secret');
  const { result, rerender } = renderHook(({ factor }) => useSubscription(TARGET, ['a'], {
    WebSocket, login, initial: 0, reduce: (sum, message) => sum + factor * message.json(),
  }), { initialProps: { factor: 1 } });
  await serve(() => {});
  await serve(() => opened[0].open().command('WELCOME'));
  await serve(() => opened[0].command('READY'));
  opened[0].message('a', '1');
  await waitFor(() => assert.equal(result.current.data, 1));
  rerender({ factor: 10 });
  opened[0].message('a', '2');
  await waitFor(() => assert.deepEqual([result.current.data, opened.length], [21, 1]));
});

test('another target, topic or login is another socket, and null is none', async () => {
  const { WebSocket, opened } = network(), login = plain('ann', 'secret');
  const { result, rerender } = renderHook(([target, topic, credentials]) => useSubscription(target, topic, { WebSocket, login: credentials }), { initialProps: [null, 'a', login] });
  await serve(() => {});
  assert.deepEqual([opened.length, result.current.state], [0, 'idle']);
  for (const [i, props] of [[TARGET, 'a', login], [TARGET, 'b', login], [TARGET, 'b', plain('ann', 'secret')], [new URL('wss://host/other'), 'b', undefined]].entries()) {
    rerender(props);
    await serve(() => rerender([...props]));
    assert.equal(opened.length, i + 1);
    if (i) assert.equal(opened[i - 1].closedWith, 1000);
  }
  await serve(() => rerender([undefined, 'b', login]));
  assert.deepEqual([opened.at(-1).closedWith, result.current.state], [1000, 'idle']);
});

test('errors', async () => {
  const { WebSocket, opened } = network();
  const { result } = renderHook(() => useSubscription(TARGET, 'a', { WebSocket }));
  await serve(() => {});
  await serve(() => opened[0].login('PUB').lose(4300, 'later'));
  assert.deepEqual([result.current.state, result.current.error.name, result.current.error.code], ['reconnecting', 'DisconnectError', 4300]);
  await serve(() => result.current.reconnect());
  await serve(() => opened[1].open().lose(4400, 'login refused'));
  assert.deepEqual([result.current.state, result.current.error.message], ['refused', '4400 login refused']);
});

test('wrong options reach the error boundary', () => {
  const log = console.error;
  console.error = () => {};
  assert.throws(() => renderHook(() => useSubscription(TARGET, 'a', { WebSocket: network().WebSocket, debug: 1 })), { name: 'TypeError', message: /debug/ });
  console.error = log;
});

test('useConnection: one WebSocket for many components', async () => {
  const { WebSocket, opened } = muxNetwork(), login = plain('ann', 'secret');
  const element = createElement;
  const Readings = ({ route, topic }) => element('p', null, `${topic} ${useSubscription(route, topic, { WebSocket }).state}`);
  let setShown;
  function House() {
    const { state, route } = useConnection(TARGET, { WebSocket, login }), [shown, set] = useState(true);
    setShown = set;
    return [element('h1', { key: 0 }, state), ...['a', 'b'].map((topic) => shown && element(Readings, { key: topic, route: route('/devices'), topic }))];
  }
  const { unmount } = render(element(StrictMode, null, element(House)));
  await serve(() => {});
  assert.equal(opened.length, 1);
  await serve(() => opened[0].ready());
  await serve(() => opened[0].opened(1).opened(2));
  assert.equal(screen.getByRole('heading').textContent, 'ready');
  for (const topic of ['a', 'b']) screen.getByText(`${topic} ready`);
  await serve(() => setShown(false));
  assert.equal(opened[0].closedWith, undefined);
  unmount();
  assert.deepEqual([opened.length, opened[0].closedWith], [1, 1000]);
});

test('a server renders the state before the first connection', () => {
  const { WebSocket, opened } = network();
  const Readings = () => useSubscription(TARGET, 'a', { WebSocket, initial: 'nothing yet' }).data;
  assert.equal(renderToString(createElement(Readings)), 'nothing yet');
  assert.equal(opened.length, 0);
});
