// Everything in one file: @zwsbridge/zws/all, or dist/zws.all.js from a CDN.
// SPDX-License-Identifier: MPL-2.0

export * from './zws.js';
export * from './zws/mux.js';
export * from './zws/relay.js';
export * from './zws/store.js';
