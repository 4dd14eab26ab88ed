// Command lines that the gateway and the gRPC proxy refuse: in etcd's words, and, where a real etcd is at hand, as that does it.
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { program, reference, run, scratch, type Ran } from '../support/member.ts';

const place = scratch();
const etcd = join(place.dir, 'etcd');
symlinkSync(program, etcd);
afterAll(() => place.remove());

const real = reference('etcd');

/** What people are told: log lines left out. */
const told = (r: Ran): string =>
  `${r.stdout}\n${r.stderr}`
    .split('\n')
    .filter((l) => l !== '' && !l.startsWith('{'))
    .join('\n');

const proxy = ['grpc-proxy', 'start', '--listen-addr=127.0.0.1:0'];

describe.each([
  [[...proxy, '--resolver-ttl=5'], 'invalid resolver-prefix ""'],
  [[...proxy, '--resolver-prefix=p'], 'invalid resolver-ttl 0'],
  [[...proxy, '--resolver-prefix=p', '--resolver-ttl=1', '--advertise-client-url='], 'invalid advertise-client-url ""'],
  [[...proxy, '--auto-tls', '--self-signed-cert-validity=0'], 'selfSignedCertValidity is invalid,it should be greater than 0'],
  [[...proxy, '--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'], 'min version (TLS1.3) is greater than max version (TLS1.2)'],
  [[...proxy, '--tls-min-version=TLS1.0'], 'tls-min-version is invalid: unexpected TLS version "TLS1.0" (must be one of: TLS1.2, TLS1.3)'],
  [[...proxy, '--tls-min-version=TLS1.3', '--listen-cipher-suites=A'], 'cipher suites cannot be configured when only TLS1.3 is enabled'],
  [['gateway', 'start', '--endpoints=abc'], 'error parsing endpoint "abc"'],
  [['gateway', 'start', '--listen-addr=abc'], 'failed to validate listen address: abc'],
  [
    ['gateway', 'start', '--endpoints=127.0.0.1:23790'],
    'SRV or endpoint (127.0.0.1:23790->127.0.0.1:23790) should not resolve to the gateway listen addr (127.0.0.1:23790)',
  ],
] as const)('%j', (args, text) => {
  it('is refused', async () => {
    const r = await run(process.execPath, [etcd, ...args], { timeoutMs: 60_000 });
    expect([r.code, told(r)]).toEqual([1, text]);
  });

  it.skipIf(real === undefined)('as by a real etcd', async () => {
    const r = await run(real ?? '', args, { cwd: place.dir, timeoutMs: 60_000 });
    expect([r.code, told(r)]).toEqual([1, text]);
  });
});

describe('by their own names', () => {
  const own = (...args: string[]): Promise<Ran> => run(process.execPath, [program, ...args], { timeoutMs: 60_000 });

  it('say what they can do', async () => {
    for (const args of [['gateway'], ['grpc-proxy', 'start', '--help'], ['help', 'gateway', 'start']]) {
      const r = await own(...args);
      expect([r.code, r.stderr]).toEqual([0, '']);
      expect(r.stdout).toContain('start');
    }
    expect((await own('grpc-proxy', 'start', '--help')).stdout).toContain('--balance');
    expect((await run(process.execPath, [etcd, 'grpc-proxy', 'start', '--help'])).stdout).not.toContain('--balance');
  });

  it('refuse what they do not know', async () => {
    const unknown = await own('gateway', 'start', '--bogus');
    expect([unknown.code, unknown.stderr.split('\n')[0]]).toEqual([1, 'Error: unknown flag: --bogus']);
    const policy = await own('grpc-proxy', 'start', '--balance=worst');
    expect([policy.code, policy.stderr]).toEqual([1, 'invalid balance "worst" (must be one of: round-robin, random, least-pending)\n']);
  });
});
