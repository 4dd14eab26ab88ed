// What metrics see of calls, over each binding and in process.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { KV, Watch } from '../../../src/api/gen/methods.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { InProcessChannel } from '../../../src/wire/in-process.ts';
import type { WireObserver } from '../../../src/wire/observer.ts';
import { clock, connect, handlers, newSeen, TestServer, until } from './fixture.ts';

function recorder(): { observer: WireObserver; log: string[] } {
  const log: string[] = [];
  return {
    log,
    observer: {
      method: ({ name }) => ({
        started: () => void log.push(`${name} started`),
        handled: (call, code, ms) => {
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(call.method.name).toBe(name);
          log.push(`${name} handled ${code}`);
        },
        received: (bytes) => void log.push(`${name} received ${bytes}`),
        sent: (bytes) => void log.push(`${name} sent ${bytes}`),
      }),
    },
  };
}

describe.each(['native', 'http2', 'in-process'] as const)('%s', (kind) => {
  it('tells of every call once', async () => {
    const { observer, log } = recorder();
    const server = await TestServer.start({ binding: kind === 'http2' ? 'http2' : 'native', observer });
    const channel =
      kind === 'in-process' ? new InProcessChannel({ table: handlers(newSeen()), clock, observer }) : connect('http2', server);
    await channel.unary(KV.range, { key: utf8('abc') });
    await channel.unary(KV.range, { key: utf8('fail:x') }).catch(() => {});
    await channel.unary(KV.range, { key: utf8('parts:10') });
    const abort = new AbortController();
    const pending = channel.unary(KV.range, { key: utf8('hang:x') }, { signal: abort.signal }).catch(() => {});
    await until(() => log.at(-1) === 'Range received 8');
    abort.abort();
    await pending;
    await until(() => log.at(-1) === 'Range handled 1');
    expect(log.splice(0)).toEqual([
      ...['Range started', 'Range received 5', 'Range sent 2', 'Range handled 0'],
      ...['Range started', 'Range received 8', 'Range handled 9'],
      ...['Range started', 'Range received 10', 'Range sent 19', 'Range handled 0'],
      ...['Range started', 'Range received 8', 'Range handled 1'],
    ]);
    const stream = channel.stream(Watch.watch);
    stream.send({ createRequest: { key: utf8('a') } });
    stream.send({ createRequest: { key: utf8('end') } });
    await until(() => log.at(-1) === 'Watch handled 0');
    expect(log).toEqual(['Watch started', 'Watch received 5', 'Watch sent 5', 'Watch received 7', 'Watch handled 0']);
    channel.close();
    await server.stop();
  });
});

describe('in process', () => {
  it('shows the peer it was given, and hands objects over when asked to', async () => {
    const seen = newSeen();
    const peer = { address: '10.0.0.1:5', commonName: undefined, viaGateway: true };
    const channel = new InProcessChannel({ table: handlers(seen), clock, peer, encoded: false });
    const request = { ...KV.range.request.create(), key: utf8('abc') };
    await channel.unary(KV.range, request);
    const call = seen.calls[0] as unknown as { peer: unknown; request: unknown; requestBytes: Uint8Array };
    expect(call.peer).toBe(peer);
    expect(call.request).toBe(request);
    expect(KV.range.request.decode(call.requestBytes)).toEqual(request);
    channel.close();
  });
});

describe('start-up', () => {
  it('the lean channel loads neither grpc-js nor the server', () => {
    const file = new URL('../../../src/wire/http2-channel.ts', import.meta.url).pathname;
    const build =
      "import { build } from 'esbuild'; const r = await build({ entryPoints: [process.argv[1]], bundle: true, write: false, metafile: true, platform: 'node', format: 'esm', packages: 'external' }); console.log(Object.values(r.metafile.outputs)[0].imports.map((i) => i.path).concat(Object.keys(r.metafile.inputs)).join(' '));";
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', build, file], { encoding: 'utf8' });
    expect(out).not.toContain('grpc-js');
    expect(out).not.toContain('server-call');
    expect(out).not.toContain('node:zlib');
  });
});
