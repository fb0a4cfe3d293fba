// Generates dist/ from zws.js and zws/: what a page always needs in one minified file, and what
// it may need beside it. Modules that are loaded on demand import what they share from that file,
// so that a page never has two copies of a class. The source maps are for the npm package only.
//
//   npm ci && npm run bundle

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
    const licence = name.endsWith('curve') ? 'MPL-2.0 AND Unlicense' : 'MPL-2.0';
    const preamble = `// zwsbridge: made by bundle.mjs from the modules beside it. SPDX-License-Identifier: ${licence}`;
    const { code: text, map } = await minify(code, { module: true, ecma: 2020, sourceMap: true, compress: { passes: 2 }, format: { comments: false, preamble } });
    return { code: text, map };
  },
};

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
  return Object.fromEntries(output.map((file) => [file.fileName, file.code ?? file.source]));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  rmSync(path('dist'), { recursive: true, force: true });
  mkdirSync(path('dist/zws'), { recursive: true });
  for (const [name, text] of Object.entries(await bundled())) writeFileSync(path(`dist/${name}`), text);
}
