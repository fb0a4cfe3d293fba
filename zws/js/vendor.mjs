// Generates zws/nacl.js from npm's tweetnacl: nacl-fast.js as an ES module, unchanged except
// for its end, which sets up CommonJS and a random number generator. curve.js has its own
// generator, and bundlers for browsers fail on require('crypto').
//
//   npm ci && npm run vendor

import { readFileSync, writeFileSync } from 'node:fs';

const directory = new URL('node_modules/tweetnacl/', import.meta.url);

/** Returns the contents of zws/nacl.js, from the installed tweetnacl. */
export function vendored() {
  const { version } = JSON.parse(readFileSync(new URL('package.json', directory), 'utf8'));
  const source = readFileSync(new URL('nacl-fast.js', directory), 'utf8');
  const licence = readFileSync(new URL('LICENSE', directory), 'utf8').trim();
  const [library, ...end] = source.split('(function() {\n  // Initialize PRNG');
  if (end.length !== 1) throw new Error('unexpected end of nacl-fast.js: update vendor.mjs for this version of tweetnacl');
  return `// tweetnacl ${version} (https://tweetnacl.js.org) as an ES module: made by vendor.mjs from
// nacl-fast.js of the npm package; do not edit. SPDX-License-Identifier: Unlicense
//
${licence.replace(/^/gm, '// ').replace(/ +$/gm, '')}

const nacl = {};
${library}})(nacl);

export default nacl;
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  writeFileSync(new URL('zws/nacl.js', import.meta.url), vendored());
}
