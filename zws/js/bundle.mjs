// Generates dist/ from zws.js and zws/: what a page always needs in one minified file, and what
// it may need beside it. Modules that are loaded on demand import what they share from that file,
// so that a page never has two copies of a class. zws.all.js is everything in one file, for CDNs; its
// hash for subresource integrity is in dist/integrity.json and in README.md. It and the source maps are
// for the npm package only.
//
//   npm ci && npm run bundle

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync, mkdirSync, rmSync } from 'node:fs';
import { rollup } from 'rollup';
import { minify } from 'terser';

const root = new URL('./', import.meta.url), path = (name) => new URL(name, root).pathname;

// Modules of zws/ that pages import, and those that zws.js loads on demand.
const ENTRIES = ['mux', 'relay', 'history', 'curve', 'store'];
const OWN_FILE = ['relay', 'history', 'curve', 'store', 'nacl', 'z85'];

/** Minifies a chunk. */
const minified = {
  name: 'minify',
  async renderChunk(code, { name }) {
    const licence = /curve$|all$/.test(name) ? 'MPL-2.0 AND Unlicense' : 'MPL-2.0';
    const preamble = `// zwsbridge: made by bundle.mjs from the modules beside it. SPDX-License-Identifier: ${licence}`;
    const { code: text, map } = await minify(code, { module: true, ecma: 2020, sourceMap: true, compress: { passes: 2 }, format: { comments: false, preamble } });
    return { code: text, map };
  },
};

// What zws.all.js exports.
const ALL = ['zws', 'zws/mux', 'zws/relay', 'zws/store'].map((name) => `export * from ${JSON.stringify(path(`${name}.js`))};`).join('\n');
const virtual = { name: 'all', resolveId: (id) => (id === 'zws.all' ? id : null), load: (id) => (id === 'zws.all' ? ALL : null) };

async function everything() {
  const bundle = await rollup({ input: { 'zws.all': 'zws.all' }, plugins: [virtual] });
  const { output } = await bundle.generate({ dir: path('dist'), format: 'es', sourcemap: true, inlineDynamicImports: true, entryFileNames: '[name].js', plugins: [minified] });
  await bundle.close();
  return output;
}

/** Returns the hash of a text for the attribute integrity. */
const integrity = (text) => `sha384-${createHash('sha384').update(text).digest('base64')}`;

/** Returns README.md with the hash of zws.all.js. */
export const documented = (hash) => readFileSync(path('README.md'), 'utf8').replace(/sha384-[\w+/]{64}/g, hash);

/** Returns the files of dist/ by name. */
export async function bundled() {
  const input = Object.fromEntries([['zws', path('zws.js')], ...ENTRIES.map((name) => [`zws/${name}`, path(`zws/${name}.js`)])]);
  const bundle = await rollup({ input, preserveEntrySignatures: 'allow-extension' });
  const { output } = await bundle.generate({
    dir: path('dist'),
    format: 'es',
    sourcemap: true,
    minifyInternalExports: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'zws/[name].js',
    manualChunks: (id) => (OWN_FILE.some((name) => id.endsWith(`/${name}.js`)) ? undefined : 'zws'),
    plugins: [minified],
  });
  await bundle.close();
  const files = Object.fromEntries([...output, ...await everything()].map((file) => [file.fileName, file.code ?? file.source]));
  const hashes = { 'zws.all.js': integrity(files['zws.all.js']) };
  return { ...files, 'integrity.json': `${JSON.stringify(hashes, null, 2)}\n` };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  rmSync(path('dist'), { recursive: true, force: true });
  mkdirSync(path('dist/zws'), { recursive: true });
  const files = await bundled(), hash = JSON.parse(files['integrity.json'])['zws.all.js'];
  for (const [name, text] of Object.entries(files)) writeFileSync(path(`dist/${name}`), text);
  writeFileSync(path('README.md'), documented(hash));
  console.log(`dist/zws.all.js ${hash}`);
}
