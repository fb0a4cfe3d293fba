// The npm packages: what is in them, and that they work in a project of their own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url);
const ADAPTERS = ['react', 'vue', 'svelte'];

const npm = (cwd, ...args) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const directory = mkdtempSync(join(tmpdir(), 'zws-')), packages = {};
const copy = join(directory, 'source'); // packing makes dist/ again, which package.test.js compares
test.after(() => rmSync(directory, { recursive: true }));

test.before(() => {
  cpSync(fileURLToPath(root), copy, { recursive: true, filter: (name) => !name.includes('node_modules') });
  symlinkSync(new URL('node_modules', root), join(copy, 'node_modules'));
  for (const name of ['.', ...ADAPTERS]) {
    const output = npm(join(copy, name), 'pack', '--json', '--pack-destination', directory);
    const packed = JSON.parse(output.slice(output.search(/^[[{]/m))), one = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
    packages[name] = { ...one, paths: one.files.map(({ path }) => path).sort() };
  }
});

test('npm packs the modules with their source maps, and nothing else', () => {
  const modules = readdirSync(new URL('zws/', root)).map((name) => `zws/${name}`);
  const dist = ['dist/zws.js', 'dist/zws.all.js', ...['curve', 'history', 'mux', 'relay', 'store'].map((name) => `dist/zws/${name}.js`)];
  const expected = [...dist, ...dist.map((name) => `${name}.map`), 'dist/integrity.json', 'LICENSE', 'README.md', 'package.json', 'zws.d.ts', 'all.d.ts', 'zws.js', ...modules];
  assert.deepEqual(packages['.'].paths, expected.sort());
  for (const name of ADAPTERS) assert.deepEqual(packages[name].paths, ['LICENSE', 'README.md', 'index.d.ts', 'index.js', 'package.json']);
  for (const name of ADAPTERS) assert.ok(!existsSync(join(copy, name, 'LICENSE')), 'the copy is removed');
});

test('installed in an empty project: in Node, in a bundle, and the types', async () => {
  writeFileSync(join(directory, 'package.json'), '{"type":"module","private":true}');
  npm(directory, 'install', '--offline', '--no-audit', '--no-fund', '--legacy-peer-deps', ...['.', ...ADAPTERS].map((name) => `./${packages[name].filename}`));
  const installed = join(directory, 'node_modules/@zwsbridge/zws');
  for (const name of readdirSync(join(installed, 'dist'))) {
    if (!name.endsWith('.map')) continue;
    const { sources, sourcesContent } = JSON.parse(readFileSync(join(installed, 'dist', name), 'utf8'));
    assert.ok(sources.length && sourcesContent.every(Boolean), name);
  }

  writeFileSync(join(directory, 'node.js'), `
    import { Sub, plain } from '@zwsbridge/zws';
    import { Mux } from '@zwsbridge/zws/mux';
    import { relay } from '@zwsbridge/zws/relay';
    import { subscription } from '@zwsbridge/zws/store';
    import * as all from '@zwsbridge/zws/all';
    new Sub({ WebSocket: class {}, login: plain('ann', 'secret') }).close();
    console.log([Mux, relay, subscription, ...Object.values(all)].every((f) => typeof f === 'function'));
  `);
  assert.equal(execFileSync(process.execPath, ['node.js'], { cwd: directory, encoding: 'utf8' }), 'true\n');

  const bundle = async (contents, external = []) => {
    const { outputFiles: [{ text }] } = await build({ stdin: { contents, resolveDir: directory }, bundle: true, minify: true, format: 'esm', write: false, external, logLevel: 'silent' });
    return text;
  };
  const small = await bundle("import { plain } from '@zwsbridge/zws'; console.log(plain('a', 'b').mechanism)");
  assert.ok(small.length < 5000, `unused modules are left out: ${small.length} bytes`);
  for (const name of ADAPTERS) assert.match(await bundle(`export * from '@zwsbridge/${name}'`, ['react', 'vue', 'svelte']), /ZWSMUX1\.0/);

  // Without the libraries that the client is developed with, and with the checks of every declaration.
  writeFileSync(join(directory, 'page.ts'), "import { Sub } from '@zwsbridge/zws';\nimport { Mux } from '@zwsbridge/zws/mux';\nimport { relay } from '@zwsbridge/zws/relay';\nimport { subscription } from '@zwsbridge/zws/store';\nimport * as all from '@zwsbridge/zws/all';\nconst sub: Sub = new all.Sub();\nexport { Mux, relay, sub, subscription };\n");
  const tsc = join(new URL('.', root).pathname, 'node_modules/typescript/bin/tsc');
  const strict = { noEmit: true, strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipDefaultLibCheck: true };
  for (const [module, moduleResolution] of [['esnext', 'bundler'], ['node16', 'node16'], ['nodenext', 'nodenext']]) {
    const compilerOptions = { ...strict, types: [], target: 'es2022', lib: ['es2022', 'dom'], module, moduleResolution };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['page.ts'] }));
    execFileSync(process.execPath, [tsc], { cwd: directory, stdio: ['ignore', 'inherit', 'inherit'] });
  }
});
