// Rows of the security checklist (test/data/security/checklist.tsv) that small parts show. Each test is named by its rows.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lookup } from 'node:dns';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KV, Lease, Watch } from '../../src/api/gen/methods.ts';
import type { Permission } from '../../src/api/gen/authpb.ts';
import { TxnRequest } from '../../src/api/gen/etcdserverpb.ts';
import type { Init } from '../../src/api/proto-io.ts';
import { latin1 } from '../../src/base/bytes.ts';
import { silentLog, type Log } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { forTerminal } from '../../src/commands/text/quote.ts';
import { putCost, txnCost } from '../../src/server/apply/quota.ts';
import { BucketAuthStore } from '../../src/server/auth/bucket-auth-store.ts';
import { LoginBackoff, pauseMsMax } from '../../src/server/auth/login-backoff.ts';
import { UserPermissions } from '../../src/server/auth/permissions.ts';
import { SimpleTokens } from '../../src/server/auth/simple-tokens.ts';
import { buildConfig } from '../../src/server/config/build-config.ts';
import { readOptions } from '../../src/server/config/options.ts';
import { PeerClient } from '../../src/server/peer/peer-client.ts';
import { askVersion } from '../../src/server/peer/questions.ts';
import { connectionsFor } from '../../src/server/server.ts';
import { identityOf } from '../../src/server/proxy/identity.ts';
import { ServiceContext } from '../../src/server/services/context.ts';
import { registerServices } from '../../src/server/services/services.ts';
import { checkTxn } from '../../src/server/txn/checks.ts';
import { storeRange, watchRange } from '../../src/server/txn/key-ranges.ts';
import { HandlerTable } from '../../src/wire/call.ts';
import { InProcessChannel } from '../../src/wire/in-process.ts';
import { plainHasher } from '../unit/apply/mini-member.ts';
import { ModelBackend } from '../unit/mvcc/model-backend.ts';
import { TestClock } from '../conformance/wire/raw.ts';
import { LoneMember } from '../unit/services/lone-member.ts';

const top = join(import.meta.dirname, '../..');
const b = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('ranges', () => {
  it('S-004, S-095: keys that a request reaches are keys that were granted, whatever its ends', () => {
    const r = new SeededRandom(404);
    const letters = ['\0', 'a', 'b', 'c'];
    const all = letters.flatMap((x) => [x, ...letters.map((y) => x + y)]);
    const ends = ['', '\0', ...all, '\xff'];
    const pick = <T>(of: readonly T[]): T => of[r.u32() % of.length] as T;
    const holds = (range: { key: Uint8Array; end: Uint8Array | undefined }, key: string): boolean =>
      range.end === undefined ? key === latin1(range.key) : key >= latin1(range.key) && (range.end.length === 0 || key < latin1(range.end));
    let allowed = 0;
    for (let i = 0; i < 20_000; i++) {
      const grants: Permission[] = Array.from({ length: 1 + (r.u32() % 4) }, () => ({
        permType: pick([0, 2]),
        key: b(pick(all)),
        rangeEnd: b(pick(ends)),
      }));
      const user = new UserPermissions(grants);
      const asked = { key: b(pick(['', ...all])), rangeEnd: b(pick(ends)) };
      // A watch reads its key as the watcher will.
      const range = r.u32() % 2 === 0 ? storeRange(asked.key, asked.rangeEnd) : watchRange(asked.key, asked.rangeEnd);
      if (!user.allows(range.key, asked.rangeEnd, false)) continue;
      allowed++;
      for (const key of all)
        if (holds(range, key))
          expect(
            grants.some((g) => holds(storeRange(g.key, g.rangeEnd), key)),
            `${i}: ${JSON.stringify(key)}`,
          ).toBe(true);
    }
    expect(allowed).toBeGreaterThan(1000);
  });

  it('S-032: a nested txn costs what is in it, and its depth and operations are bounded', () => {
    const of = (t: Init<TxnRequest>): TxnRequest => TxnRequest.decode(TxnRequest.encode(t));
    let txn = of({ success: [{ requestPut: { key: b('k'), value: new Uint8Array(1000) } }] });
    const inner = putCost(txn.success[0]!.requestPut!);
    for (let i = 0; i < 20; i++) txn = of({ failure: [{ requestTxn: txn }] });
    expect(txnCost(txn)).toBe(inner);
    for (let i = 0; i < 200; i++) txn = of({ success: [{ requestTxn: txn }] });
    expect(checkTxn(txn, 128)?.message).toContain('too many operations');
  });
});

describe('logins', () => {
  it('S-091: wrong passwords are slowed down by user and address, never others', () => {
    const clock = new TestClock();
    const backoff = new LoginBackoff(clock);
    for (let i = 0; i < 10; i++) {
      expect(backoff.attempt('10.0.0.1:5', 'u')).toBe(0);
      backoff.failed('10.0.0.1:5', 'u');
    }
    const waits = Array.from({ length: 100 }, () => backoff.attempt('10.0.0.1:6', 'u'));
    const taken = waits.filter((w) => w !== undefined);
    expect(taken.length).toBeLessThan(40);
    expect(Math.max(...taken)).toBeLessThanOrEqual(pauseMsMax);
    expect(backoff.attempt('10.0.0.2:5', 'u')).toBe(0);
    expect(backoff.attempt('10.0.0.1:5', 'other')).toBe(0);
    // At most one a pause, in the long run.
    for (let i = 0; i < 10; i++) backoff.failed('10.0.0.1:5', 'u');
    let admitted = 0;
    for (let ms = 0; ms < 60_000; ms += 50) {
      if (backoff.attempt('10.0.0.1:5', 'u') !== undefined) admitted++;
      clock.advance(50);
    }
    expect(admitted).toBeLessThan(60_000 / pauseMsMax + 5);
    backoff.succeeded('10.0.0.1:7', 'u');
    expect(backoff.attempt('10.0.0.1:5', 'u')).toBe(0);
    for (let i = 0; i < 10_000; i++) backoff.failed(`10.1.${i >> 8}.${i & 255}:1`, `u${i}`);
    expect(backoff.remembered).toBeLessThanOrEqual(4096);
  });

  it('S-010, S-012, S-090: short passwords, failures and costs out of range are told in the log', () => {
    const lines: [string, object | undefined][] = [];
    const log: Log = { ...silentLog, warn: (m, f) => void lines.push([m, f]), named: () => log };
    const clock = new TestClock();
    const tokens = new SimpleTokens({ clock, random: new SeededRandom(1), ttlMs: 1000 });
    const store = new BucketAuthStore({
      backend: new ModelBackend(),
      tokens,
      hasher: plainHasher,
      bcryptCost: 99,
      certificateUsers: false,
      log,
    });
    expect(lines.shift()?.[0]).toContain('use default bcrypt cost');
    let hashed = '';
    store.prepare({ authUserAdd: { name: 'u', password: 'short' } }, (_, r) => (hashed = r?.authUserAdd?.hashedPassword ?? ''));
    expect(Buffer.from(hashed, 'base64').toString()).toContain('$2a$10$');
    expect(lines.shift()).toEqual(['the password is shorter than 8 characters', { 'user-name': 'u' }]);
    store.prepare({ authUserAdd: { name: 'u', password: 'long enough' } }, () => undefined);
    expect(lines).toEqual([]);
    for (const name of ['root', 'u'])
      store.apply({ authUserAdd: { name, password: '', hashedPassword: hashed, options: undefined } } as never);
    store.apply({ authUserAdd: { name: 'nopw', password: '', hashedPassword: '', options: { noPassword: true } } } as never);
    store.apply({ authUserGrantRole: { user: 'root', role: 'root' } } as never);
    store.apply({ authEnable: {} } as never);
    for (const [name, password] of [
      ['u', 'wrong'],
      ['nopw', ''],
      ['ghost', 'x'],
    ])
      store.prepare({ authenticate: { name, password } }, () => undefined, '10.0.0.7:1234');
    expect(lines.map(([, f]) => f)).toEqual([
      { user: 'u', 'remote-addr': '10.0.0.7:1234', error: 'wrong password' },
      { user: 'nopw', 'remote-addr': '10.0.0.7:1234', error: 'the user has no password' },
      { user: 'ghost', 'remote-addr': '10.0.0.7:1234', error: 'no such user' },
    ]);
    store.close();
  });

  it('S-093: what is secret is compared in constant time, or found by its hash', () => {
    const jwt = readFileSync(join(top, 'src/server/auth/jwt-tokens.ts'), 'utf8');
    expect(jwt).toContain('timingSafeEqual(own, signature)');
    expect(jwt).not.toMatch(/own === signature|signature === own|signature\.equals/);
    expect(readFileSync(join(top, 'src/server/auth/simple-tokens.ts'), 'utf8')).toContain('this.#held.get(token)');
  });
});

describe('abuse', () => {
  function server(limits: { watchersPerStreamMax: number; watchersMax: number; leasesMax: number }) {
    const member = new LoneMember();
    const table = new HandlerTable();
    registerServices(table, member, { snapshots: { open: () => Promise.reject(new Error('none')) } as never, limits });
    const channel = new InProcessChannel({ table, clock: member.clock, peer: { address: 't', commonName: undefined, viaGateway: false } });
    return { member, channel };
  }

  it('S-112: watchers have a limit for each stream and for the member, and free their place at once', async () => {
    const { member, channel } = server({ watchersPerStreamMax: 3, watchersMax: 4, leasesMax: 10 });
    const created: { reason: string; id: number }[] = [];
    const open = () => {
      const s = channel.stream(Watch.watch, {});
      s.onMessage = (m) => {
        if (m.created) created.push({ reason: m.cancelReason, id: m.watchId });
      };
      return s;
    };
    const until = async (n: number): Promise<void> => {
      while (created.length < n) await new Promise((resolve) => setImmediate(resolve));
    };
    const first = open();
    for (let i = 0; i < 4; i++) first.send({ createRequest: { key: b('k') } });
    await until(4);
    const second = open();
    for (let i = 0; i < 2; i++) second.send({ createRequest: { key: b('k') } });
    await until(6);
    const tooMany = 'etcdserver: too many watchers';
    expect(created.map((c) => c.reason)).toEqual(['', '', '', tooMany, '', tooMany]);
    first.cancel();
    while (member.kv.watchers.watcherCount > 1) await new Promise((resolve) => setImmediate(resolve));
    second.send({ createRequest: { key: b('k') } });
    await until(7);
    expect(created.at(-1)?.reason).toBe('');
    channel.close();
  });

  it('S-113: leases have a limit, told before a grant is proposed', async () => {
    const { member, channel } = server({ watchersPerStreamMax: 3, watchersMax: 4, leasesMax: 2 });
    for (let i = 1; i <= 2; i++) await channel.unary(Lease.leaseGrant, { ID: BigInt(i), TTL: 100 }, {});
    const index = member.appliedIndex;
    await expect(channel.unary(Lease.leaseGrant, { ID: 3n, TTL: 100 }, {})).rejects.toMatchObject({ code: 8 });
    expect(member.appliedIndex).toBe(index);
    await channel.unary(Lease.leaseRevoke, { ID: 1n }, {});
    await channel.unary(Lease.leaseGrant, { ID: 3n, TTL: 100 }, {});
    channel.close();
  });

  it('S-116: clients leave descriptors to the log, the store and peers', () => {
    expect([0, 64, 256, 300, 1024, 65_536, 1 << 20].map(connectionsFor)).toEqual([20_000, 32, 128, 150, 874, 20_000, 20_000]);
  });

  it('S-071: a call that was given up does no more work', async () => {
    const { member, channel } = server({ watchersPerStreamMax: 3, watchersMax: 4, leasesMax: 2 });
    for (let i = 0; i < 50; i++) await channel.unary(KV.put, { key: b(`k${i}`) }, {});
    let reads = 0;
    const { kv } = member;
    const sliced = kv.rangeSliced.bind(kv);
    kv.rangeSliced = (...args: Parameters<typeof sliced>) => {
      reads++;
      return sliced(...args);
    };
    const abort = new AbortController();
    const calls = Array.from({ length: 1000 }, () => channel.unary(KV.range, { key: b('k'), rangeEnd: b('l') }, { signal: abort.signal }));
    abort.abort();
    expect((await Promise.allSettled(calls)).every((c) => c.status === 'rejected')).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toBe(0);
    channel.close();
  });

  it('S-001: no service can be set up without the table', () => {
    expect(typeof ServiceContext).toBe('function');
    const { channel } = server({ watchersPerStreamMax: 1, watchersMax: 1, leasesMax: 1 });
    channel.close();
    // Handlers are registered through the context, which asks the table, or are listed in it.
    const direct = readdirSync(join(top, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((f) => f.endsWith('.ts') && !f.startsWith('wire/') && !f.startsWith('server/proxy/'))
      .filter((f) => /table\.add(Unary|Stream)</.test(readFileSync(join(top, 'src', f), 'utf8')));
    expect(direct.sort()).toEqual(['server/services/context.ts', 'server/services/health.ts']);
  });
});

describe('configuration', () => {
  const noFile = (): never => {
    throw new Error('no file');
  };
  const build = (...argv: string[]) => buildConfig(readOptions({ argv, env: {}, readFile: noFile, parseYaml: noFile }));

  it.each([
    'max-request-bytes',
    'max-txn-ops',
    'snapshot-count',
    'heartbeat-interval',
    'election-timeout',
    'max-wals',
    'max-snapshots',
    'auto-compaction-retention',
  ])('S-020: --%s takes no nonsense', (flag) => {
    for (const value of ['-1x', '1e400', 'NaN', 'text', '0x', '9'.repeat(40)])
      expect(() => build(`--${flag}=${value}`), `${flag}=${value}`).toThrow();
  });

  it('S-020: a negative retention of auto-compaction is refused', () => {
    expect(() => build('--auto-compaction-retention=-1')).toThrow();
    expect(() => build('--auto-compaction-mode=revision', '--auto-compaction-retention=-5')).toThrow();
  });
});

describe('surroundings', () => {
  it('S-043: a peer that sends us elsewhere is not followed', async () => {
    let elsewhere = 0;
    const target = createServer((_req, res) => {
      elsewhere++;
      res.end('{"etcdserver":"9.9.9","etcdcluster":"9.9.0"}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => target.once('listening', resolve));
    const { port } = target.address() as AddressInfo;
    const sender = createServer((req, res) => {
      res.writeHead(302, { location: `http://127.0.0.1:${port}${req.url}` });
      res.end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => sender.once('listening', resolve));
    const client = new PeerClient({ urls: [`http://127.0.0.1:${(sender.address() as AddressInfo).port}`], dialMs: 5000, lookup });
    const answer = await new Promise((resolve) => askVersion(client, 10_000, resolve));
    expect(answer).toBeUndefined();
    expect(elsewhere).toBe(0);
    target.close();
    sender.close();
  });

  it('S-064, S-065, S-066, S-081, S-087: libraries are locked at versions without known holes, and few', () => {
    const lock = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string; integrity?: string; dev?: boolean; link?: boolean; optional?: boolean }>;
    };
    const version = (name: string): number[] => (lock.packages[`node_modules/${name}`]?.version ?? '0').split('.').map(Number);
    const atLeast = (name: string, ...least: number[]): boolean => {
      const v = version(name);
      for (let i = 0; i < least.length; i++) if (v[i] !== least[i]) return (v[i] ?? 0) > (least[i] ?? 0);
      return true;
    };
    expect(atLeast('@grpc/grpc-js', 1, 14, 4)).toBe(true);
    expect(atLeast('protobufjs', 8, 0, 2)).toBe(true);
    const all = Object.entries(lock.packages).filter(([path]) => path !== '');
    expect(all.filter(([, p]) => p.link !== true && p.integrity === undefined).map(([path]) => path)).toEqual([]);
    expect(all.filter(([, p]) => p.dev !== true).length).toBeLessThan(120);
    expect(readFileSync(join(top, '.ci/run'), 'utf8')).toContain('npm ci --ignore-scripts');
    // The runtime: lines with the fixes for floods of CONTINUATION and RST_STREAM.
    const { engines } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { engines: { node: string } };
    expect(engines.node).toBe('>=20.19');
  });

  it('S-080, S-081: no code from text, no schema from outside', () => {
    const hits = readdirSync(join(top, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((f) => f.endsWith('.ts'))
      .filter((f) =>
        /\beval\(|new Function\(|Root\.fromJSON|protobuf\.parse|runInThisContext/.test(readFileSync(join(top, 'src', f), 'utf8')),
      );
    expect(hits).toEqual([]);
  });

  it('S-124: nothing is shared between callers of the gRPC proxy', () => {
    const key = (entries: Record<string, string>): string => identityOf(new Map(Object.entries(entries).map(([k, v]) => [k, [v]]))).key;
    const callers = [
      {},
      { token: 'a' },
      { token: 'b' },
      { authorization: 'a' },
      { authorization: 'Bearer a' },
      { token: 'a', authorization: 'b' },
    ];
    expect(new Set(callers.map(key)).size).toBe(callers.length);
    expect(key({ token: 'a', 'user-agent': 'x' })).toBe(key({ token: 'a' }));
  });

  it('S-120: a terminal sees no control characters of keys and values', () => {
    const shown = (text: string): string => Buffer.from(forTerminal(Buffer.from(text, 'utf8'))).toString('utf8');
    expect(shown('\x1b]0;owned\x07\x1b[2J')).toBe('\\x1b]0;owned\\x07\\x1b[2J');
    expect(shown('a\r\x7f\x08b')).toBe('a\\x0d\\x7f\\x08b');
    expect(shown('\u009b31m')).toBe('\\xc2\\x9b31m');
    expect(shown('tab\tline\nünï🙂')).toBe('tab\tline\nünï🙂');
  });
});
