// Agreement of types, modules and dist/.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { transform } from 'esbuild';

import * as zws from '../zws.js';
import { bundled, documented } from '../bundle.mjs';
import { vendored } from '../vendor.mjs';

const root = new URL('..', import.meta.url);
const read = (name) => readFileSync(new URL(name, root), 'utf8');

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
  const listed = readdirSync(new URL('dist/', root), { recursive: true }).filter((name) => /\.js(on)?$/.test(name));
  assert.deepEqual(listed.sort(), Object.keys(files).filter((name) => !name.endsWith('.map')).sort());
});

test('dist/ exports what the modules do, and one class of each', async () => {
  const bundle = await import('../dist/zws.js'), mux = await import('../dist/zws/mux.js');
  for (const name of Object.keys(zws)) assert.equal(typeof bundle[name], 'function', name);
  assert.deepEqual(Object.keys(mux), ['Mux']);
  const own = new mux.Mux('ws://host/', { WebSocket: class { close() {} } });
  own.close();
  assert.throws(() => new bundle.Sub({ WebSocket: class {} }).connect(own.route('/a')), bundle.ClosedError);
});

test('zws.all.js is everything in one file, with the hash that README.md shows', async () => {
  const text = read('dist/zws.all.js'), all = await import('../dist/zws.all.js');
  const modules = [zws, ...await Promise.all(['mux', 'relay', 'store'].map((name) => import(`../zws/${name}.js`)))];
  assert.deepEqual(Object.keys(all).sort(), modules.flatMap(Object.keys).sort());
  assert.doesNotMatch(text, /\b(from|import)\s*\(?["']/, 'it imports nothing');
  const hash = `sha384-${createHash('sha384').update(text).digest('base64')}`;
  assert.deepEqual(JSON.parse(read('dist/integrity.json')), { 'zws.all.js': hash });
  assert.ok(read('README.md').includes(`integrity="${hash}"`));
  assert.equal(documented(hash), read('README.md'));
  const keys = await all.curveKeyPair();
  assert.equal(keys.publicKey.length, 40);
});

// Browsers that README.md lists. A syntax that one of them does not know would be translated.
test('the syntax is ES2022, of Chrome 92, Firefox 90 and Safari 15.4', async () => {
  const target = ['es2022', 'chrome92', 'firefox90', 'safari15.4'];
  const names = ['zws.js', ...readdirSync(new URL('zws/', root)).filter((name) => name.endsWith('.js')).map((name) => `zws/${name}`), 'dist/zws.js', 'dist/zws.all.js'];
  for (const name of names) {
    const [now, then] = await Promise.all(['esnext', target].map((t) => transform(read(name), { target: t, format: 'esm' })));
    assert.equal(then.code, now.code, name);
  }
  const { code } = await transform(read('dist/zws.js'), { target: 'es2021' });
  assert.notEqual(code, (await transform(read('dist/zws.js'), { target: 'esnext' })).code, 'ES2021 is not enough');
});

test('versions: of all packages, as in CHANGELOG.md', () => {
  const { version } = JSON.parse(read('package.json')), [, released = '0.1.0'] = /^## \[(\d\S*)\]/m.exec(read('../../CHANGELOG.md')) ?? [];
  assert.equal(version, released);
  for (const [, shown] of read('README.md').matchAll(/@zwsbridge\/zws@([^/]+)/g)) assert.equal(shown, version);
  for (const name of ['react', 'vue', 'svelte']) {
    const adapter = JSON.parse(read(`${name}/package.json`));
    assert.deepEqual([adapter.version, adapter.peerDependencies['@zwsbridge/zws']], [version, `^${version}`], name);
  }
});

test('zws/nacl.js is the output of vendor.mjs', () => assert.equal(read('zws/nacl.js'), vendored()));
