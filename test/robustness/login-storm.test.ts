// Two hundred logins a second against a worker that can compare sixteen: others do not feel it, the leader stays, what is too much hears so at once.
// Longer, on a machine that is quiet otherwise: TSETCD_STORM_SECONDS=20 npx vitest run test/robustness/login-storm.test.ts
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Auth, KV } from '../../src/api/gen/methods.ts';
import { RpcError } from '../../src/api/status.ts';
import { rpc } from '../../src/client/index.ts';
import type { Channel } from '../../src/wire/channel.ts';
import { connectHttp2 } from '../../src/wire/http2-channel.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { httpGet } from '../support/member.ts';

const full = process.env['TSETCD_STORM_SECONDS'] !== undefined;
const seconds = Number(process.env['TSETCD_STORM_SECONDS'] ?? 3);
const loginRate = 200;
const probeRate = 100;

let cluster: ProcessCluster;
const channels: Channel[] = [];
const channel = (endpoint: string): Channel => {
  const c = connectHttp2(
    { text: endpoint, address: endpoint, secure: false, unix: false },
    { tls: undefined, connectTimeoutMs: 30_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
  );
  channels.push(c);
  return c;
};

beforeAll(async () => {
  cluster = await ProcessCluster.start({
    kinds: ['tsetcd', 'tsetcd', 'tsetcd'], // The short form hashes faster: a busy machine would need minutes for what waits.
    args: ['--log-level', 'error', '--bcrypt-cost', full ? '10' : '8'],
  });
}, 120_000);
afterAll(async () => {
  for (const c of channels) c.close();
  await cluster?.remove();
});

/** Runs `work` at a steady rate, whatever becomes of each. */
async function steadily(rate: number, ms: number, work: (i: number) => Promise<void>): Promise<void> {
  const open: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; performance.now() - start < ms; i++) {
    const wait = start + (i * 1000) / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    open.push(work(i));
  }
  await Promise.all(open);
}
const quantile = (ms: readonly number[], q: number): number =>
  [...ms].sort((a, b) => a - b)[Math.min(ms.length - 1, Math.floor(ms.length * q))] ?? 0;

describe('a storm of logins', () => {
  it(`of ${loginRate} a second for ${seconds} s moves neither the leader nor the others`, async () => {
    const leader = await cluster.leader();
    const admin = cluster.client(leader);
    await admin.call(rpc.Auth.userAdd, { name: 'root', password: 'long-enough' });
    await admin.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
    for (let i = 0; i < 5; i++) await admin.call(rpc.Auth.userAdd, { name: `u${i}`, password: 'long-enough' });
    await admin.call(rpc.Auth.authEnable, {});
    const ours = channel(leader.endpoint);
    const stormy = channel(leader.endpoint);
    const { token } = await ours.unary(Auth.authenticate, { name: 'root', password: 'long-enough' }, { timeoutMs: 30_000 });
    const options = { metadata: { token }, timeoutMs: 30_000 };
    const figure = async (name: string): Promise<number> =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await httpGet(`${leader.url}/metrics`, 20_000)).body)?.[1] ?? 0);
    const probe = async (ms: number): Promise<number[]> => {
      const out: number[] = [];
      await steadily(probeRate, ms, async (i) => {
        const at = performance.now();
        await (i % 2 === 0
          ? ours.unary(KV.put, { key: Buffer.from(`p${i % 50}`) }, options)
          : ours.unary(KV.range, { key: Buffer.from('p') }, options));
        out.push(performance.now() - at);
      });
      return out;
    };
    await probe(full ? 3_000 : 500);
    const before = await probe(full ? 5_000 : 1_000);
    const late = await figure('etcd_server_heartbeat_send_failures_total');
    const changes = await figure('etcd_server_leader_changes_seen_total');
    const outcomes = { served: 0, refused: 0, wrong: 0, late: 0, other: [] as string[] };
    const refusedMs: number[] = [];
    const storm = steadily(loginRate, seconds * 1000, async (i) => {
      const at = performance.now();
      const wrong = i % 7 === 0;
      await stormy.unary(Auth.authenticate, { name: `u${i % 5}`, password: wrong ? 'wrong' : 'long-enough' }, { timeoutMs: 60_000 }).then(
        () => void outcomes.served++,
        (e: unknown) => {
          if (e instanceof RpcError && e.code === 8) {
            outcomes.refused++;
            refusedMs.push(performance.now() - at);
          } else if (e instanceof RpcError && e.message.includes('authentication failed')) outcomes.wrong++;
          else if (e instanceof RpcError && e.code === 4) outcomes.late++;
          else outcomes.other.push(String(e));
        },
      );
    });
    const during = await probe(seconds * 1000);
    await storm;
    expect(outcomes.other).toEqual([]);
    expect(outcomes.served).toBeGreaterThan(0);
    // More came than fits the queue.
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(await figure('tsetcd_auth_passwords_refused_total')).toBeGreaterThanOrEqual(outcomes.refused);
    expect(await figure('tsetcd_auth_passwords_checked_total')).toBeGreaterThanOrEqual(outcomes.served + outcomes.wrong);
    expect(await figure('etcd_server_leader_changes_seen_total')).toBe(changes);
    expect(await figure('etcd_server_is_leader')).toBe(1);
    const p = (ms: readonly number[]): string => `${quantile(ms, 0.5).toFixed(2)}/${quantile(ms, 0.99).toFixed(2)}`;
    if (full) {
      expect(outcomes.late).toBe(0);
      expect(outcomes.refused).toBeGreaterThan(loginRate * seconds * 0.8);
      const heartbeats = (await figure('etcd_server_heartbeat_send_failures_total')) - late;
      const rate = (n: number): string => `${(n / seconds).toFixed(1)}/s`;
      console.log(
        `STORM | ${rate(outcomes.served)} served, ${rate(outcomes.wrong)} wrong, ${rate(outcomes.refused)} refused (${p(refusedMs)} ms) | others ${p(before)} → ${p(during)} ms | ${heartbeats} late heartbeats |`,
      );
      expect(heartbeats).toBe(0);
      expect(quantile(during, 0.99)).toBeLessThan(2 * quantile(before, 0.99));
    }
  }, 240_000);
});
