// A member far behind catches up by a snapshot while the others are written to, and the leader's puts hardly notice. Here the small form; the whole one
// beside a real etcd (50,000 entries behind; an empty member and 1M keys under 2,000 puts/s; some minutes, 3 GB of disk):
// TSETCD_CATCH_UP=full TSETCD_CATCH_UP_KINDS=etcd,tsetcd npm test chaos/catch-up
import { afterEach, describe, expect, it } from 'vitest';
import { connect, rpc, type Client } from '../../../src/client/index.ts';
import { connectHttp2 } from '../../../src/wire/http2-channel.ts';
import { type Kind, ProcessCluster } from '../../support/cluster.ts';
import { memoryOf, mb } from '../../support/figures.ts';
import { type MemberProcess, reference, run, until } from '../../support/member.ts';
import { quantile } from './experiment.ts';

const full = process.env['TSETCD_CATCH_UP'] === 'full';
const kinds = (process.env['TSETCD_CATCH_UP_KINDS'] ?? 'tsetcd').split(',') as Kind[];
const seconds = full ? 8 : 2;

/** Puts at a fixed rate, whether or not the ones before are answered. */
class PutLoad {
  readonly done: { readonly at: number; readonly ms: number }[] = [];
  failed = 0;
  #sent = 0;
  readonly #clients: Client[];
  readonly #timer: NodeJS.Timeout;

  constructor(endpoint: string, rate: number) {
    this.#clients = Array.from({ length: 8 }, () => connect({ endpoints: [endpoint], requestTimeoutMs: 20_000, connect: connectHttp2 }));
    const began = performance.now();
    const value = 'v'.repeat(256);
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - began) / 1000) * rate; this.#sent < due; this.#sent++) {
        const at = performance.now();
        this.#clients[this.#sent % 8]?.put(`load/${this.#sent % 10_000}`, value).then(
          () => this.done.push({ at, ms: performance.now() - at }),
          () => this.failed++,
        );
      }
    }, 2);
  }

  /** Of the puts that began in [from, to), sorted. */
  between(from: number, to: number): number[] {
    return this.done.flatMap((d) => (d.at >= from && d.at < to ? [d.ms] : [])).sort((a, b) => a - b);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await until('the last answers', () => this.done.length + this.failed >= this.#sent);
    for (const c of this.#clients) c.close();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(kinds)('%s', (kind) => {
  let cluster: ProcessCluster | undefined;
  let load: PutLoad | undefined;
  afterEach(async () => {
    await load?.stop();
    await cluster?.remove();
    load = cluster = undefined;
  });

  /** What `begin` sets off ends when `member` has all that the leader has applied. */
  async function measured(what: string, leader: MemberProcess, rate: number, begin: () => Promise<MemberProcess>): Promise<void> {
    const puts = (load = new PutLoad(leader.endpoint, rate));
    await sleep(full ? 2000 : 200);
    const before = performance.now();
    await sleep(seconds * 1000);
    const started = performance.now();
    const member = await begin();
    const status = (m: MemberProcess): Promise<{ readonly raftAppliedIndex: number } | undefined> =>
      cluster!
        .client(m)
        .call(rpc.Maintenance.status, {}, { timeoutMs: 2000 })
        .catch(() => undefined);
    let peak = 0;
    await until(
      'the member to catch up',
      async () => {
        const [a, b] = [await status(leader), await status(member)];
        peak = Math.max(peak, memoryOf(member.pid).rssAnon);
        return a !== undefined && b !== undefined && b.raftAppliedIndex > a.raftAppliedIndex - rate / 2;
      },
      180_000,
    );
    const ended = performance.now();
    const [calm, busy] = [puts.between(before, started), puts.between(started, ended)];
    await puts.stop();
    load = undefined;
    expect(puts.failed).toBeLessThan(puts.done.length / 100);
    const ms = (all: readonly number[], share: number): string => quantile(all, share).toFixed(1);
    console.log(
      `${kind}, ${what}, ${rate} puts/s: caught up in ${((ended - started) / 1000).toFixed(1)} s; put p50 ${ms(calm, 0.5)} to ${ms(busy, 0.5)} ms, ` +
        `p99 ${ms(calm, 0.99)} to ${ms(busy, 0.99)} ms (${(quantile(busy, 0.99) / quantile(calm, 0.99)).toFixed(2)} times), slowest ${ms(calm, 1)} to ${ms(busy, 1)} ms; ` +
        `the member's memory at most ${mb(peak)} MB`,
    );
    expect(member.log).toContain('applied snapshot');
    const { isLearner } = await cluster!.client(member).status();
    if (isLearner) {
      const ID = await cluster!.id(member);
      await until('the promotion', () =>
        cluster!
          .client(leader)
          .call(rpc.Cluster.memberPromote, { ID })
          .then(
            () => true,
            () => false,
          ),
      );
    }
    await cluster!.converged();
    await cluster!.client(member).put('caught/up', 'x');
  }

  const benchmark = async (m: MemberProcess, total: number): Promise<void> => {
    const r = await run(
      reference('benchmark') ?? '',
      [
        'put',
        `--endpoints=${m.endpoint}`,
        '--conns=20',
        '--clients=200',
        `--total=${total}`,
        '--key-size=16',
        '--val-size=256',
        '--key-space-size=50000',
      ],
      { timeoutMs: 300_000 },
    );
    expect(r.code).toBe(0);
  };

  it('a member that was away', async () => {
    const small = ['--snapshot-count', '1000', '--snapshot-catchup-entries', '500'];
    const there = (cluster = await ProcessCluster.start({
      kinds: [kind, kind, kind],
      args: ['--log-level', 'info', ...(full ? [] : small)],
    }));
    const leader = await there.leader();
    const away = there.members.find((m) => m !== leader) as MemberProcess;
    await there.client(leader).put('x', 'x');
    await away.stop('SIGKILL');
    if (full) await benchmark(leader, 50_000);
    else {
      const client = there.client(leader);
      for (let i = 0; i < 8; i++) await Promise.all(Array.from({ length: 200 }, (_, n) => client.put(`away/${n}`, `${i}`)));
    }
    await measured(full ? '50,000 entries behind' : '1,600 entries behind', leader, full ? 2000 : 200, async () => {
      away.spawn();
      return Promise.resolve(away);
    });
  }, 400_000);

  it('a member that has nothing', async () => {
    const small = ['--snapshot-count', '1000', '--snapshot-catchup-entries', '500'];
    const there = (cluster = await ProcessCluster.start({
      kinds: [kind, kind, kind],
      args: ['--log-level', 'info', '--quota-backend-bytes', '8589934592', ...(full ? [] : small)],
    }));
    const leader = await there.leader();
    const client = there.client(leader);
    if (full) {
      const r = await run(reference('load') ?? '', ['-endpoints', leader.endpoint, 'fill', '-keys', '1000000'], { timeoutMs: 300_000 });
      expect(r.code, r.stderr).toBe(0);
      // Past the last raft snapshot that the fill has made.
      await benchmark(leader, 20_000);
    } else {
      for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 200 }, (_, n) => client.put(`there/${i}/${n}`, 'v'.repeat(256))));
    }
    await measured(full ? 'empty beside 1M keys' : 'empty beside 4,000 keys', leader, full ? 2000 : 200, async () => {
      const joiner = await there.joiner('m3', kind, async (url) => {
        // Members connected for less than five seconds count as unhealthy.
        await until('the learner to be added', () =>
          client.call(rpc.Cluster.memberAdd, { peerURLs: [url], isLearner: true }).then(
            () => true,
            (e: unknown) => {
              if (!(e instanceof Error) || !e.message.includes('unhealthy cluster')) throw e;
              return false;
            },
          ),
        );
      });
      joiner.spawn();
      return joiner;
    });
  }, 600_000);
});
