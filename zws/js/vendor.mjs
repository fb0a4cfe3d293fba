// Makes zws/nacl.js of npm's tweetnacl: its nacl-fast.js as an ES module, unchanged but for
// its end, which looks for CommonJS and for randomness. curve.js brings its own, and bundlers
// for browsers fail at require('crypto').
//
//   npm ci && npm run vendor

import { readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('node_modules/tweetnacl/', import.meta.url);

/** What zws/nacl.js has to hold, by the tweetnacl that is installed. */
export function vendored() {
  const { version } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  const source = readFileSync(new URL('nacl-fast.js', folder), 'utf8');
  const licence = readFileSync(new URL('LICENSE', folder), 'utf8').trim();
  const [library, ...end] = source.split('(function() {\n  // Initialize PRNG');
  if (end.length !== 1) throw new Error('nacl-fast.js of tweetnacl does not end as it used to');
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
