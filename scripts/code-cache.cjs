'use strict';
// Runs typical commands of a bundle against a stand-in server, then keeps the code that V8 compiled for them: `node code-cache.cjs dist/cli.cjs`.
const { writeFileSync } = require('node:fs');
const { createServer } = require('node:http2');
const { join } = require('node:path');
const { cacheFile, cacheOf, compile, run } = require(join(__dirname, '..', 'bin', 'load.cjs'));

const file = process.argv[2];
const script = compile(file);
const { runProgram } = run(script, file);

/** Answers every call with an empty message. */
const server = createServer();
server.on('stream', (stream) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.resume();
  stream.on('end', () => stream.end(Buffer.alloc(5)));
});
server.listen(0, '127.0.0.1', async () => {
  const at = `--endpoints=127.0.0.1:${server.address().port}`;
  const lines = [
    ['put', 'a', 'b', at],
    ['get', 'a', at],
    ['get', 'a', '--prefix', '-w', 'json', at],
    ['get', 'a', '-w', 'fields', at],
    ['del', 'a', at],
    ['lease', 'grant', '5', at],
    ['member', 'list', at],
    ['endpoint', 'health', at],
    ['version'],
    ['--help'],
    ['put', '--help'],
    ['completion', 'bash'],
    ['__complete', 'g'],
    ['nope'],
  ];
  // Nothing of this is to be seen.
  const fs = require('node:fs');
  const { writeSync } = fs;
  fs.writeSync = (_fd, bytes, at = 0) => bytes.length - at;
  for (const line of lines) await runProgram('tsetcd', line, {});
  fs.writeSync = writeSync;
  writeFileSync(`${cacheFile(file)}.new`, cacheOf(file, script));
  fs.renameSync(`${cacheFile(file)}.new`, cacheFile(file));
  process.exit(0);
});
