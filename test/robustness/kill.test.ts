// Durability of one member as a process: every acknowledged put survives SIGKILL at random moments; revisions never go back.
// Short here; the full 50 rounds: TSETCD_KILLS=50 npm test test/robustness/kill
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Code, connect, EtcdError } from '../../src/client/index.ts';
import { oneMember, until, type MemberProcess } from '../support/member.ts';

const kills = Number(process.env['TSETCD_KILLS'] ?? 8);
const seed = Number(process.env['TSETCD_SEED'] ?? Date.now() % 1_000_000);
const writers = 8;

describe(`SIGKILL in a loop (${kills} kills, seed ${seed})`, () => {
  let member: MemberProcess & { remove(): Promise<void> };
  beforeAll(async () => {
    member = await oneMember({ args: ['--snapshot-count', '500'] });
  });
  afterAll(() => member.remove());

  it(
    'loses no acknowledged write, and watches resume without gap or repeat',
    async () => {
      const random = new SeededRandom(seed);
      const client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 3000 });
      /** key → the newest acknowledged value and its revision. A later unacknowledged value may stand in the store as well. */
      const acked = new Map<string, { n: number; revision: number }>();
      const tried = new Map<string, number>();
      let highest = 0;
      let stop = false;
      const seen = new Map<string, number>();
      let events = 0;
      const watcher = client.watch('kill/', { prefix: true });
      const problems: string[] = [];
      let lastRevision = 0;
      watcher.onBatch = (batch) => {
        for (const e of batch.events) {
          const key = Buffer.from(e.kv!.key).toString();
          const n = Number(Buffer.from(e.kv!.value).toString());
          events++;
          if (e.kv!.modRevision < lastRevision) problems.push(`revision ${e.kv!.modRevision} after ${lastRevision}`);
          if (e.kv!.modRevision === lastRevision) problems.push(`revision ${lastRevision} twice`);
          lastRevision = e.kv!.modRevision;
          if (n <= (seen.get(key) ?? -1)) problems.push(`${key}: ${n} after ${seen.get(key)}`);
          seen.set(key, n);
        }
      };
      watcher.onEnd = (error) => {
        if (error !== undefined) problems.push(`watch ended: ${error.message}`);
      };
      await until('the watch', () => watcher.id >= 0);

      const writer = async (w: number): Promise<void> => {
        for (let n = 0; !stop; n++) {
          const key = `kill/${w}/${n % 20}`;
          tried.set(key, n);
          try {
            const r = await client.put(key, String(n));
            const revision = r.header!.revision;
            acked.set(key, { n, revision });
            highest = Math.max(highest, revision);
          } catch (error) {
            // Ambiguous: the value may or may not be there; the next one supersedes it either way.
            if (!(error instanceof EtcdError) || (error.code !== Code.Unavailable && error.code !== Code.DeadlineExceeded)) throw error;
            await new Promise((r) => setTimeout(r, 5));
          }
        }
      };
      const running = Promise.all(Array.from({ length: writers }, (_, w) => writer(w)));

      for (let k = 0; k < kills; k++) {
        const before = highest;
        await until('some writes', () => highest > before + 50);
        await new Promise((r) => setTimeout(r, random.u32() % 300));
        await member.stop('SIGKILL');
        const floor = new Map(acked);
        const floorRevision = highest;
        await member.start();
        const fresh = connect({ endpoints: [member.endpoint] });
        const response = await fresh.get('kill/', { prefix: true });
        fresh.close();
        expect(response.header!.revision).toBeGreaterThanOrEqual(floorRevision);
        const stored = new Map(response.kvs.map((kv) => [Buffer.from(kv.key).toString(), kv]));
        for (const [key, { n, revision }] of floor) {
          const kv = stored.get(key);
          expect(kv, `${key} of revision ${revision}`).toBeDefined();
          expect(Number(Buffer.from(kv!.value).toString())).toBeGreaterThanOrEqual(n);
          expect(kv!.modRevision).toBeGreaterThanOrEqual(revision);
        }
      }
      stop = true;
      await running;
      await until('all events', () => [...acked].every(([key, { n }]) => (seen.get(key) ?? -1) >= n));
      expect(problems).toEqual([]);
      expect(events).toBeGreaterThan(kills * 50);
      watcher.cancel();
      client.close();
    },
    60_000 + kills * 20_000,
  );
});
