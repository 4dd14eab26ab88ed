/** What clients were promised, and whether a member keeps it. */
import { expect } from 'vitest';
import { Code, connect, EtcdError, type Client } from '../../src/client/index.ts';

/** Acknowledged writes under a prefix: key → the newest acknowledged value's number and revision. */
export class Promises {
  readonly prefix: string;
  readonly acked = new Map<string, { readonly n: number; readonly revision: number }>();
  highest = 0;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  note(key: string, n: number, revision: number): void {
    this.acked.set(key, { n, revision });
    this.highest = Math.max(this.highest, revision);
  }

  /** Each key holds what was acknowledged or a later try; revisions have not gone back. */
  async expectKept(client: Client): Promise<void> {
    const found = new Map<string, { n: number; revision: number }>();
    let revision = 0;
    for (let from: string | undefined = this.prefix; from !== undefined;) {
      const page = await client.get(from, { rangeEnd: prefixEnd(this.prefix), limit: 500 });
      revision = page.header?.revision ?? 0;
      for (const kv of page.kvs) found.set(text(kv.key), { n: numberOf(kv.value), revision: kv.modRevision });
      const last = page.kvs.at(-1);
      from = page.more && last !== undefined ? `${text(last.key)}\0` : undefined;
    }
    expect(revision).toBeGreaterThanOrEqual(this.highest);
    for (const [key, { n, revision: r }] of this.acked) {
      const there = found.get(key);
      expect(there, `${key}, acknowledged at revision ${r}`).toBeDefined();
      expect(there?.n, key).toBeGreaterThanOrEqual(n);
      expect(there?.revision, key).toBeGreaterThanOrEqual(r);
    }
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** The number in front of a value made by `valueOf`. */
export function numberOf(value: Uint8Array): number {
  return Number.parseInt(Buffer.from(value.subarray(0, 12)).toString('latin1'), 10);
}

/** A value of a given size that begins with its number. */
export function valueOf(n: number, bytes: number): string {
  return `${n}.`.padEnd(bytes, 'x');
}

/** Whether a failed write may yet have happened. */
export function isAmbiguous(error: unknown): boolean {
  return error instanceof EtcdError && (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded);
}

export interface WriterOptions {
  readonly endpoint: string;
  readonly promises: Promises;
  readonly writers: number;
  readonly keys: number;
  readonly valueBytes: number;
}

/** Writers that go on until `stop`; errors that say nothing about the outcome are swallowed, others reject. */
export function startWriters(options: WriterOptions): { stop(): Promise<void> } {
  const { endpoint, promises, writers, keys, valueBytes } = options;
  const client = connect({ endpoints: [endpoint], requestTimeoutMs: 3000 });
  let over = false;
  const one = async (w: number): Promise<void> => {
    for (let n = 0; !over; n++) {
      const key = `${promises.prefix}${w}/${n % keys}`;
      try {
        const r = await client.put(key, valueOf(n, valueBytes));
        promises.note(key, n, r.header?.revision ?? 0);
      } catch (error) {
        if (!isAmbiguous(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, w) => one(w)));
  // Looked at in `stop`.
  all.catch(() => undefined);
  return {
    async stop() {
      over = true;
      await all;
      await client.close();
    },
  };
}
