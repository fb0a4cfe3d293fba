// Contents of the npm package, and agreement of types and modules.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';

import * as zws from '../zws.js';
import * as packed from '@zwsbridge/zws';
import * as packedMux from '@zwsbridge/zws/mux';
import * as packedRelay from '@zwsbridge/zws/relay';
import { vendored } from '../vendor.mjs';

const root = new URL('..', import.meta.url);
const read = (name) => readFileSync(new URL(name, root), 'utf8');

test('npm packs the modules and nothing else', () => {
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  const modules = readdirSync(new URL('zws/', root)).map((name) => `zws/${name}`);
  assert.deepEqual(files.map(({ path }) => path).sort(), ['LICENSE', 'README.md', 'package.json', 'zws.d.ts', 'zws.js', ...modules].sort());
  assert.equal(packed.Sub, zws.Sub);
  assert.deepEqual([Object.keys(packedMux), Object.keys(packedRelay)], [['Mux'], ['relay']]);
});

test('the types declare every export', () => {
  const types = read('zws.d.ts');
  const named = [...types.matchAll(/^export (?:abstract )?(?:class|function) (\w+)/gm)].map(([, name]) => name);
  const renamed = [.../^export {(.*)}/m.exec(types)[1].matchAll(/ as (\w+)/g)].map(([, name]) => name);
  assert.deepEqual([...named.filter((name) => name !== 'Socket'), ...renamed].sort(), Object.keys(zws).sort());
});

test('zws/nacl.js is the output of vendor.mjs', () => assert.equal(read('zws/nacl.js'), vendored()));
