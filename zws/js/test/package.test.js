// Contents of the npm package, and agreement of types and modules.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';

import * as zws from '../zws.js';
import * as packed from '@zwsbridge/zws';
import * as packedMux from '@zwsbridge/zws/mux';
import * as packedRelay from '@zwsbridge/zws/relay';
import { bundled } from '../bundle.mjs';
import { vendored } from '../vendor.mjs';

const root = new URL('..', import.meta.url);
const read = (name) => readFileSync(new URL(name, root), 'utf8');

test('npm packs the modules and nothing else', () => {
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  const modules = readdirSync(new URL('zws/', root)).map((name) => `zws/${name}`);
  const dist = ['dist/zws.js', ...['curve', 'history', 'mux', 'relay', 'store'].map((name) => `dist/zws/${name}.js`)];
  assert.deepEqual(files.map(({ path }) => path).filter((path) => !path.endsWith('.map')).sort(), [...dist, 'LICENSE', 'README.md', 'package.json', 'zws.d.ts', 'zws.js', ...modules].sort());
  assert.equal(packed.Sub, zws.Sub);
  assert.deepEqual([Object.keys(packedMux), Object.keys(packedRelay)], [['Mux'], ['relay']]);
});

test('the types declare every export', () => {
  const types = read('zws.d.ts');
  const named = [...types.matchAll(/^export (?:abstract )?(?:class|function) (\w+)/gm)].map(([, name]) => name);
  const renamed = [.../^export {(.*)}/m.exec(types)[1].matchAll(/ as (\w+)/g)].map(([, name]) => name);
  assert.deepEqual([...named.filter((name) => name !== 'Socket'), ...renamed].sort(), Object.keys(zws).sort());
});

test('dist/ is the output of bundle.mjs: run "npm run bundle" after a change', async () => {
  const files = await bundled();
  for (const [name, text] of Object.entries(files)) {
    if (!name.endsWith('.map')) assert.equal(read(`dist/${name}`), text, name);
  }
  const listed = readdirSync(new URL('dist/', root), { recursive: true }).filter((name) => name.endsWith('.js'));
  assert.deepEqual(listed.sort(), Object.keys(files).filter((name) => name.endsWith('.js')).sort());
});

test('dist/ exports what the modules do, and one class of each', async () => {
  const bundle = await import('../dist/zws.js'), mux = await import('../dist/zws/mux.js');
  for (const name of Object.keys(zws)) assert.equal(typeof bundle[name], 'function', name);
  assert.deepEqual(Object.keys(mux), ['Mux']);
  const own = new mux.Mux('ws://host/', { WebSocket: class { close() {} } });
  own.close();
  assert.throws(() => new bundle.Sub({ WebSocket: class {} }).connect(own.route('/a')), bundle.ClosedError);
});

test('zws/nacl.js is the output of vendor.mjs', () => assert.equal(read('zws/nacl.js'), vendored()));
