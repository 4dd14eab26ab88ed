'use strict';
// Loads a bundle of dist/ with the code that V8 made of it at build time, where that fits this Node and this very bundle.
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname } = require('node:path');
const { Script } = require('node:vm');

/** The bundle's first line, which the cache begins with as well: `//` and 32 hexadecimal digits. */
const nameBytes = 34;

/** Beside the bundle, by what the code depends on. */
function cacheFile(file) {
  return `${file.slice(0, -4)}-${process.version}-${process.arch}.cache`;
}

/** @param cached bytes of a cache file, or undefined */
function compile(file, cached) {
  // The bundle is plain ASCII.
  const source = readFileSync(file, 'latin1');
  const fits = cached !== undefined && cached.latin1Slice(0, nameBytes) === source.slice(0, nameBytes);
  const cachedData = fits ? cached.subarray(nameBytes) : undefined;
  return new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, { filename: file, cachedData });
}

/** What to write to the cache file. */
function cacheOf(file, script) {
  return Buffer.concat([readFileSync(file).subarray(0, nameBytes), script.createCachedData()]);
}

function run(script, file) {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  return module.exports;
}

/** The bundle's exports. */
function load(file) {
  let cached;
  try {
    cached = readFileSync(cacheFile(file));
  } catch {
    // Built by another Node: newer ones keep what they compile by themselves.
    require('node:module').enableCompileCache?.();
    return require(file);
  }
  return run(compile(file, cached), file);
}

module.exports = { cacheFile, cacheOf, compile, load, run };
