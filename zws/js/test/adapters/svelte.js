// A hook of Node's module loader that compiles components of Svelte, and modules with runes.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile, compileModule } from 'svelte/compiler';

export async function load(url, context, next) {
  const rune = /\.svelte\.js$/.test(url);
  if (!rune && !url.endsWith('.svelte')) return next(url, context);
  const filename = fileURLToPath(url), source = readFileSync(filename, 'utf8'), options = { filename, generate: 'client', dev: false };
  const { js } = rune ? compileModule(source, options) : compile(source, { ...options, css: 'injected' });
  return { format: 'module', source: js.code, shortCircuit: true };
}
