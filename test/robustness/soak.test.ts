// Mixed load with compaction and watches: private memory, size on disk and open handles level off.
// Ten minutes: TSETCD_SOAK_SECONDS=600 npm test test/robustness/soak
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { type Client, compare, connect, op, rpc } from '../../src/client/index.ts';
import { diskBytesOf, handlesOf, mb, memoryOf } from '../support/figures.ts';
import { oneMember } from '../support/member.ts';

const seconds = Number(process.env['TSETCD_SOAK_SECONDS'] ?? 15);
const keys = 5_000;
const valueBytes = 500;

interface Sample {
  readonly at: number;
  readonly rssAnon: number;
  readonly vmRss: number;
  readonly disk: number;
  readonly db: number;
  readonly handles: number;
  readonly ops: number;
}

describe(`a soak of ${seconds} s`, () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  beforeAll(async () => {
    member = await oneMember({ args: ['--auto-compaction-mode=revision', '--auto-compaction-retention=1000', '--snapshot-count=5000'] });
  });
  afterAll(() => member.remove());

  it(
    'levels off',
    async () => {
      const random = new SeededRandom(1);
      let over = false;
      let ops = 0;
      let events = 0;
      const key = (): string => `soak/${String(random.u32() % keys).padStart(5, '0')}`;
      const value = (): string => 'v'.repeat(random.u32() % (2 * valueBytes));
      const kinds: ((c: Client) => Promise<unknown>)[] = [
        (c) => c.put(key(), value()),
        (c) => c.put(key(), value()),
        (c) => c.put(key(), value()),
        (c) => c.get(key()),
        (c) => c.get(key(), { serializable: true }),
        (c) => c.get('soak/', { prefix: true, limit: 50 }),
        (c) => c.delete(key()),
        (c) =>
          c
            .txn()
            .if(compare.version(key(), '>', 0))
            .then(op.put(key(), value()), op.get(key()))
            .else(op.delete(key()))
            .commit()
            .catch((e: Error) => {
              if (!e.message.includes('duplicate key')) throw e;
            }),
        async (c) => {
          const { ID } = await c.grantLease(2);
          await c.put(`lease/${ID}`, '', { lease: ID });
          if (random.u32() % 2 === 0) await c.revokeLease(ID);
        },
      ];
      const client = connect({ endpoints: [member.endpoint] });
      // Brings the threads that do this into being.
      for (const v of ['first', 'second']) await client.put('soak/00000', v);
      await client.compact(3, { physical: true });
      await client.call(rpc.Maintenance.defragment, {});
      // Watches that stay, and some that come and go with a connection of their own.
      const watched = (c: Client): void => {
        const from = random.u32() % keys;
        const watcher = c.watch(`soak/${String(from).padStart(5, '0')}`, {
          end: `soak/${String(from + 500).padStart(5, '0')}`,
          prevKv: true,
        });
        watcher.onBatch = (batch) => (events += batch.events.length);
      };
      for (let i = 0; i < 20; i++) watched(client);
      const workers = Array.from({ length: 16 }, async () => {
        while (!over) {
          await kinds[random.u32() % kinds.length]!(client);
          ops++;
        }
      });
      const visitors = (async () => {
        while (!over) {
          const visitor = connect({ endpoints: [member.endpoint] });
          for (let i = 0; i < 5; i++) watched(visitor);
          const { ID } = await visitor.grantLease(5);
          const kept = visitor.keepLease(ID, 5);
          await visitor.put('visitor', String(ID), { lease: ID });
          await new Promise((resolve) => setTimeout(resolve, 200));
          kept.stop();
          if (random.u32() % 2 === 0) await visitor.revokeLease(ID);
          visitor.close();
        }
      })();
      const duties = (async () => {
        for (let n = 1; !over; n++) {
          await new Promise((resolve) => setTimeout(resolve, 500));
          const { header } = await client.get('soak/', { countOnly: true });
          await client.compact(Math.max(1, header!.revision - 500)).catch(() => undefined);
          if (n % 10 === 0) await client.call(rpc.Maintenance.defragment, {});
        }
      })();

      const samples: Sample[] = [];
      const start = performance.now();
      while (performance.now() - start < seconds * 1000) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(250, seconds * 10)));
        samples.push({
          at: (performance.now() - start) / 1000,
          ...memoryOf(member.pid),
          disk: diskBytesOf(member.options.dataDir),
          db: (await client.status()).dbSize,
          handles: handlesOf(member.pid),
          ops,
        });
      }
      over = true;
      await Promise.all([...workers, visitors, duties]);
      client.close();

      const every = Math.max(1, Math.floor(samples.length / 12));
      for (const s of samples.filter((_, i) => i % every === every - 1))
        console.log(
          `${s.at.toFixed(0).padStart(4)} s: RssAnon ${mb(s.rssAnon)} MB, VmRSS ${mb(s.vmRss)} MB, disk ${mb(s.disk)} MB, db ${mb(s.db)} MB, ${s.handles} handles, ${s.ops} ops`,
        );
      console.log(`${ops} operations, ${events} events in ${seconds} s`);
      expect(events).toBeGreaterThan(ops / 10);

      const median = (part: readonly Sample[], of: (s: Sample) => number): number =>
        part.map(of).sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
      const third = Math.floor(samples.length / 3);
      const middle = samples.slice(third, 2 * third);
      const last = samples.slice(2 * third);
      const grown = (of: (s: Sample) => number): number => median(last, of) - median(middle, of);
      // A short run is still filling caches and its first WAL segments.
      const long = seconds >= 300;
      expect(grown((s) => s.rssAnon)).toBeLessThan(long ? 12e6 : 60e6);
      expect(median(last, (s) => s.rssAnon)).toBeLessThan(250e6);
      expect(grown((s) => s.handles)).toBeLessThanOrEqual(4);
      expect(grown((s) => s.db)).toBeLessThan(long ? 10e6 : 60e6);
      // Up to five WAL segments of 64 MB stay.
      expect(grown((s) => s.disk)).toBeLessThan(long ? 40e6 : 250e6);
    },
    60_000 + seconds * 1500,
  );
});
