// Checks the types of the JavaScript in README and manual, as an editor does for its reader.
// SPDX-License-Identifier: MPL-2.0
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const package_ = fileURLToPath(new URL('..', import.meta.url));
const root = join(package_, '../..');
const manual = join(root, 'cmd/zwsbridge/manual');
const pages = [join(root, 'README.md'), join(package_, 'README.md'),
  ...readdirSync(manual).filter((name) => name.endsWith('.md')).map((name) => join(manual, name))];

/** Returns the JavaScript of a page, by where it is. */
function* scripts(page) {
  const text = readFileSync(page, 'utf8');
  for (const { 1: indent, 2: language, 3: code, index } of text.matchAll(/^( *)```(js|html)\n(.*?)^ *```$/gms)) {
    const script = language === 'js' ? code : /<script type="module">\n(.*?)<\/script>/s.exec(code)?.[1];
    const line = text.slice(0, index).split('\n').length;
    if (script) yield [`${basename(page)}-${line}`, script.replaceAll(`\n${indent}`, '\n')];
  }
}

// What the examples take for granted of the page around them.
const around = `
declare const login: any, temperature: HTMLElement, serverKey: string, publicKey: string, secretKey: string, url: string;
declare const useEffect: (effect: () => void, inputs: unknown[]) => void;
declare const show: (...values: any[]) => void, setState: (value: any) => void;
declare const mux: import('@zwsbridge/zws/mux').Mux, vault: import('@zwsbridge/zws').Dealer;
`;

const names = ['ClosedError', 'Dealer', 'Pull', 'Push', 'RefusedError', 'Req', 'Sub', 'XSub', 'bearer', 'curve', 'plain'];

/** Returns a script with imports of this package, also of what an earlier script of the page has imported. */
function completed(script) {
  const imported = [...script.matchAll(/import \{(.*?)\}/gs)].map((match) => match[1]).join();
  const missing = names.filter((name) => !imported.includes(name) && script.includes(name));
  return `import { ${missing} } from '/zws.js';\n${script}`
    .replace(/'\/zws\.js'/g, "'@zwsbridge/zws'").replace(/'\/zws\/(mux|relay|store)\.js'/g, "'@zwsbridge/zws/$1'")
    .replace(/'https:.*zws\.all\.js'/g, "'@zwsbridge/zws/all'");
}

test('the JavaScript of README and manual has the right types', () => {
  const files = new Map([[join(package_, 'test/around.d.ts'), around]]);
  for (const page of pages) {
    for (const [name, script] of scripts(page)) files.set(join(package_, 'test', `${name}.js`), `${completed(script)}\nexport {};\n`);
  }
  assert(files.size > 5, `found ${files.size - 1} scripts`);
  const options = {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.esnext.disposable.d.ts'],
    types: [], noEmit: true, allowJs: true, checkJs: true, strict: false, skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, language, ...rest) => (files.has(name)
    ? ts.createSourceFile(name, files.get(name), language, true) : getSourceFile(name, language, ...rest));
  const problems = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
  assert.deepEqual(problems.map(({ file, messageText }) => `${basename(file?.fileName ?? '')}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`), []);
});
