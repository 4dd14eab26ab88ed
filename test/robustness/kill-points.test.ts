// A member that dies at a named place (compaction's marks and batches, an index checkpoint, a segment rewrite, the WAL's and the store's
// syncs): after the restart acknowledged writes, revisions and hashes are right. The same member goes through all of it.
// Longer: TSETCD_KILL_ROUNDS=5 npm test test/robustness/kill-points
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { request } from 'node:http';
import { SeededRandom } from '../../src/base/random.ts';
import { type Client, connect, rpc } from '../../src/client/index.ts';
import { freePorts, oneMember, until, type MemberProcess } from '../support/member.ts';
import { History, isAmbiguous, type Change } from './history.ts';

const rounds = Number(process.env['TSETCD_KILL_ROUNDS'] ?? 1);
const seed = Number(process.env['TSETCD_SEED'] ?? Date.now() % 1_000_000);
const writers = 8;
const keys = 60;

type Trigger = 'compact' | 'defrag' | 'writes' | 'stop';

const points: readonly (readonly [string, Trigger])[] = [
  ['compactBeforeCommitScheduledCompact', 'compact'],
  ['compactAfterCommitScheduledCompact', 'compact'],
  ['compactAfterAcquiredBatchTxLock', 'compact'],
  ['compactBeforeCommitBatch', 'compact'],
  ['compactAfterCommitBatch', 'compact'],
  ['compactBeforeSetFinishedCompact', 'compact'],
  ['compactAfterSetFinishedCompact', 'compact'],
  ['checkpointBeforePages', 'defrag'],
  ['checkpointBeforePublish', 'defrag'],
  ['checkpointAfterPublish', 'defrag'],
  ['rewriteBeforeBatch', 'defrag'],
  ['rewriteBeforeSwap', 'defrag'],
  ['rewriteAfterSwap', 'defrag'],
  ['checkpointBeforePublish', 'stop'],
  ['checkpointAfterPublish', 'stop'],
  ['raftBeforeSave', 'writes'],
  ['raftAfterSave', 'writes'],
  ['walBeforeSync', 'writes'],
  ['walAfterSync', 'writes'],
  ['beforeApplyOneEntryNormal', 'writes'],
  ['beforeCommit', 'writes'],
  ['afterCommit', 'writes'],
];

describe(`a member that dies at (seed ${seed})`, () => {
  let member: MemberProcess & { remove(): Promise<void> };
  let control: number;
  const random = new SeededRandom(seed);
  const history = new History();
  let compacted = 0;
  let count = 0;

  beforeAll(async () => {
    [control = 0] = await freePorts(1);
    member = await oneMember({
      args: ['--compaction-batch-limit=50', '--compaction-sleep-interval=1ms', '--snapshot-count=200'],
      env: { GOFAIL_HTTP: `127.0.0.1:${control}` },
    });
  });
  afterAll(async () => {
    await history.close();
    await member.remove();
  });

  const set = (name: string, terms: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const r = request({ method: 'PUT', path: `/${name}`, host: '127.0.0.1', port: control, agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      r.on('error', reject);
      r.end(terms);
    });

  const changes = (): Change[] => {
    const n = count++;
    const key = (): string => `k${random.u32() % keys}`;
    const put = { key: key(), value: `${n}`.padEnd(random.u32() % 2000, 'v') };
    const other = key();
    return n % 5 === 0 && other !== put.key ? [{ key: other, value: undefined }, put] : [put];
  };

  /** Writes until told to stop or until the member is gone. */
  const load = (client: Client): { stop(): Promise<void> } => {
    let over = false;
    const writer = async (): Promise<void> => {
      while (!over && (await history.write(client, changes())) !== undefined);
    };
    const all = Promise.all(Array.from({ length: writers }, writer));
    all.catch(() => undefined);
    return {
      async stop() {
        over = true;
        await all;
      },
    };
  };

  const trigger = async (what: Trigger, client: Client): Promise<void> => {
    try {
      if (what === 'compact') {
        compacted = history.highest - 20;
        await client.compact(compacted, { physical: true });
      } else if (what === 'defrag') {
        compacted = history.highest - 20;
        await client.compact(compacted, { physical: true });
        await client.call(rpc.Maintenance.defragment, {});
      } else if (what === 'stop') member.child?.kill('SIGTERM');
    } catch (error) {
      if (!isAmbiguous(error)) throw error;
    }
  };

  for (let round = 0; round < rounds; round++)
    it.each(points)(`%s (%s)${rounds > 1 ? `, round ${round}` : ''}`, async (point, what) => {
      // After a failed case.
      if (member.child?.exitCode !== null) await member.start();
      const client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 5000 });
      const running = load(client);
      const before = history.highest;
      await until('some writes', () => history.highest > before + 150);
      expect(await set(point, random.u32() % 2 === 0 || what !== 'writes' ? 'panic' : '20*off->panic')).toBe(204);
      const triggered = trigger(what, client);
      const exit = await Promise.race([member.exit, new Promise((resolve) => setTimeout(() => resolve('still there'), 20_000))]);
      if (exit === 'still there') await member.stop('SIGKILL');
      await Promise.all([running.stop(), triggered]);
      client.close();
      expect(exit).toEqual({ code: 2, signal: null });
      expect(member.log).toContain('panic: failpoint panic');

      await member.start();
      const fresh = connect({ endpoints: [member.endpoint] });
      const end = await history.complete(fresh, Math.max(compacted + 1, 2));
      // Not at the compacted revision itself: there a member that compacted without a break still knows its compaction's own hash.
      for (const revision of new Set([end, Math.floor((end + compacted + 2) / 2)])) {
        const expected = await history.hash(revision, compacted);
        const actual = await fresh.call(rpc.Maintenance.hashKV, { revision });
        expect({ hash: actual.hash, compactRevision: actual.compactRevision }, `at ${revision} of ${end}`).toEqual({
          hash: expected.hash,
          compactRevision: expected.compactRevision,
        });
      }
      fresh.close();
    });
});
