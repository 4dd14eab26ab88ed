/**
 * A member's writes by revision, and a second member in memory that gets the same ones: whatever happened to the first, both must hash to
 * the same.
 */
import { expect } from 'vitest';
import { type Client, Code, EtcdError, op, rpc, type KeyValue } from '../../src/client/index.ts';
import { startMember, type EmbeddedMember } from '../../src/server/embed.ts';
import { until } from '../support/member.ts';

/** Whether a failed write may yet have happened. */
export function isAmbiguous(error: unknown): boolean {
  return error instanceof EtcdError && (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded);
}

/** One change of one key; `value` undefined deletes. */
export interface Change {
  readonly key: string;
  readonly value: string | undefined;
}

export class History {
  /** By revision: what was acknowledged, completed by `complete` with what happened unanswered. */
  readonly changes = new Map<number, readonly Change[]>();
  highest = 1;
  #fed = 1;
  #oracle: EmbeddedMember | undefined;
  #compacted = 0;

  /** Writes one txn. Resolves with its revision, or undefined when its outcome is not known. */
  async write(client: Client, changes: readonly Change[]): Promise<number | undefined> {
    const ops = changes.map((c) => (c.value === undefined ? op.delete(c.key) : op.put(c.key, c.value)));
    try {
      const r = await client
        .txn()
        .then(...ops)
        .commit();
      const revision = r.header?.revision ?? 0;
      expect(this.changes.has(revision), `revision ${revision} given twice`).toBe(false);
      this.changes.set(revision, changes);
      this.highest = Math.max(this.highest, revision);
      return revision;
    } catch (error) {
      if (!isAmbiguous(error)) throw error;
      return undefined;
    }
  }

  /** Everything acknowledged is there, in its place; unanswered writes that happened are taken over. */
  async complete(client: Client, from: number): Promise<number> {
    const seen = new Map<number, Change[]>();
    const end = (await client.get('x', { countOnly: true })).header?.revision ?? 0;
    expect(end, 'no acknowledged revision is lost').toBeGreaterThanOrEqual(this.highest);
    const watcher = client.watch('\0', { fromKey: true, startRevision: from });
    let last = from - 1;
    watcher.onBatch = (batch) => {
      for (const e of batch.events) {
        const kv = e.kv as KeyValue;
        const change = { key: Buffer.from(kv.key).toString(), value: e.type === 1 ? undefined : Buffer.from(kv.value).toString() };
        const list = seen.get(kv.modRevision);
        if (list === undefined) seen.set(kv.modRevision, [change]);
        else list.push(change);
        last = kv.modRevision;
      }
    };
    await until(`revision ${end} to be watched`, () => last >= end);
    watcher.cancel();
    for (let rev = from; rev <= end; rev++) {
      const there = seen.get(rev);
      expect(there, `revision ${rev} has events`).toBeDefined();
      const acked = this.changes.get(rev);
      // A delete of a key that is not there leaves no event.
      if (acked !== undefined) expect(acked.filter((c) => c.value !== undefined)).toEqual(there?.filter((c) => c.value !== undefined));
      this.changes.set(rev, there as Change[]);
    }
    this.highest = end;
    return end;
  }

  /** The hash that the revisions so far have to have, after a compaction to `compacted`. */
  async hash(revision: number, compacted: number): Promise<{ hash: number; compactRevision: number }> {
    this.#oracle ??= await startMember();
    const { client } = this.#oracle;
    while (this.#fed < this.highest) {
      const next = this.#fed + 1;
      const changes = this.changes.get(next);
      expect(changes, `revision ${next} is known`).toBeDefined();
      const ops = (changes as readonly Change[]).map((c) => (c.value === undefined ? op.delete(c.key) : op.put(c.key, c.value)));
      const r = await client
        .txn()
        .then(...ops)
        .commit();
      expect(r.header?.revision).toBe(next);
      this.#fed = next;
    }
    if (compacted > this.#compacted) await client.compact(compacted, { physical: true });
    this.#compacted = Math.max(compacted, this.#compacted);
    return client.call(rpc.Maintenance.hashKV, { revision });
  }

  async close(): Promise<void> {
    await this.#oracle?.close();
  }
}
