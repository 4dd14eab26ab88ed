// Programs that nobody here wrote, against our own HTTP/2: h2spec's 145 cases, nghttp, h2load, curl, and grpc-go by etcd's load generator.
import { execFile } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../support/member.ts';
import { TestServer } from './fixture.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
}

function run(program: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 120_000, maxBuffer: 64 << 20, encoding: 'utf8' }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out: stdout + stderr });
    });
  });
}

const installed = async (program: string): Promise<boolean> => (await run(program, ['--version'])).code === 0;
const required = process.env.TSETCD_REQUIRE_REFERENCE === '1';
const [nghttp, h2load, curl] = await Promise.all(['nghttp', 'h2load', 'curl'].map(installed));
const h2spec = reference('h2spec');
const benchmark = reference('benchmark');

describe.each(['plain', 'TLS'] as const)('%s', (kind) => {
  const secure = kind === 'TLS';
  let server: TestServer;
  let dir: string;
  let ca: string;

  beforeAll(async () => {
    const made = await generate([{ name: 'commonName', value: 'server' }], {
      keySize: 2048,
      extensions: [
        { name: 'basicConstraints', cA: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    } as Parameters<typeof generate>[1]);
    dir = mkdtempSync(join(tmpdir(), 'wire-'));
    ca = join(dir, 'ca.pem');
    writeFileSync(ca, made.cert);
    server = await TestServer.start({ binding: 'native', ...(secure ? { tls: { options: { cert: made.cert, key: made.private } } } : {}) });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
    expect(server.errors).toEqual([]);
    expect(server.grpc.openCalls).toBe(0);
  });
  const url = (path: string): string => `${secure ? 'https' : 'http'}://127.0.0.1:${server.port}${path}`;

  it.skipIf(h2spec === undefined && !required)('h2spec: every case passes', { timeout: 180_000 }, async () => {
    const args = ['-h', '127.0.0.1', '-p', String(server.port), '-o', '5', ...(secure ? ['-t', '-k'] : [])];
    const { out } = await run(h2spec ?? 'h2spec', args);
    const failed = out.split('\n').filter((line) => line.includes('×'));
    expect(failed).toEqual([]);
    expect(out).toMatch(/145 tests, 145 passed, 0 skipped, 0 failed/);
  });

  it.skipIf(!nghttp && !required)('nghttp reads answers', async () => {
    const { code, out } = await run('nghttp', ['-v', url('/hello'), url('/big')]);
    expect(code).toBe(0);
    expect(out).toContain(':status: 200');
    expect(out).toContain('GET /hello - 127.0.0.1');
  });

  it.skipIf(!h2load && !required)('h2load loses nothing', async () => {
    const { out } = await run('h2load', ['-n', '20000', '-c', '20', '-m', '50', url('/hello')]);
    expect(out).toContain('20000 succeeded, 0 failed, 0 errored, 0 timeout');
  });

  it.skipIf(!curl && !required)('curl speaks both protocols', async () => {
    const second = await run('curl', [
      '-sk',
      '-o',
      '-',
      '-w',
      ' %{http_version}',
      secure ? '--http2' : '--http2-prior-knowledge',
      '-d',
      'abc',
      url('/x'),
    ]);
    expect(second.out).toBe('POST /x - 127.0.0.1 abc 2');
    const first = await run('curl', ['-sk', '-w', ' %{http_version}', '--http1.1', '-d', 'abc', url('/x')]);
    expect(first.out).toBe('POST /x - 127.0.0.1 abc 1.1');
    const big = await run('curl', [
      '-sk',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      secure ? '--http2' : '--http2-prior-knowledge',
      url('/big'),
    ]);
    expect(big.out).toBe(String(64 * 65_536));
  });

  it.skipIf(benchmark === undefined && !required)('grpc-go makes 20,000 puts over 10 connections', { timeout: 120_000 }, async () => {
    const before = server.seen.received;
    const { code, out } = await run(benchmark ?? 'benchmark', [
      '--endpoints',
      url(''),
      ...(secure ? ['--cacert', ca] : []),
      '--conns=10',
      '--clients=100',
      'put',
      '--total=20000',
      '--key-size=8',
      '--val-size=256',
    ]);
    expect(out).not.toContain('Error distribution');
    expect(code).toBe(0);
    expect(server.seen.received - before).toBe(20_000 * 256);
  });
});
