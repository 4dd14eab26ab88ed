/** Mixed requests of many clients, each with what was asked, when, and what came back. */
import type { Random } from '../../../src/base/random.ts';
import { Code, compare, connect, EtcdError, op, rpc, type Client, type KeyValue } from '../../../src/client/index.ts';
import type { Change, Operation, Pair, Revision } from './checker.ts';

export const keyCount = 24;
/** Every key of the traffic. */
export const prefix = 'k/';
const prefixEnd = 'k0';

export interface TrafficOptions {
  readonly endpoints: readonly string[];
  readonly random: Random;
  readonly clients: number;
  /** Half of the clients know one member alone. Default true. */
  readonly pinned?: boolean;
  /** Requests a second of all clients together while nothing holds them up. */
  readonly rate: number;
}

const text = (b: Uint8Array): string => Buffer.from(b).toString('latin1');

function pairOf(kv: KeyValue): Pair {
  return { key: text(kv.key), value: text(kv.value), createRevision: kv.createRevision, modRevision: kv.modRevision, version: kv.version };
}

/** Whether the request may have been done although it failed. */
function unknown(error: unknown): boolean {
  if (!(error instanceof EtcdError)) throw error;
  // What is refused before it is proposed; everything else, such as a member that stops, leaves it open.
  return error.code !== Code.ResourceExhausted && error.code !== Code.FailedPrecondition && error.code !== Code.InvalidArgument;
}

export class Traffic {
  readonly operations: Operation[] = [];
  /** Highest revision that a writer was told. */
  highest = 1;
  done = 0;
  readonly errors = new Map<string, number>();
  readonly #o: TrafficOptions;
  readonly #clients: Client[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #seen = new Map<string, number>();
  #over = false;
  #values = 0;
  #aside = 0;

  constructor(options: TrafficOptions) {
    this.#o = options;
  }

  start(): void {
    const { clients, endpoints, pinned = true } = this.#o;
    for (let c = 0; c < clients; c++) {
      // Each begins with another member, and half of them know only that one.
      const own = endpoints.slice(c % endpoints.length).concat(endpoints.slice(0, c % endpoints.length));
      const client = connect({ endpoints: c % 2 === 0 || !pinned ? own : own.slice(0, 1), requestTimeoutMs: 3000 });
      this.#clients.push(client);
      this.#running.push(this.#run(client));
    }
  }

  /** The members are others now. */
  set endpoints(endpoints: readonly string[]) {
    for (const c of this.#clients) c.endpoints = endpoints;
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#running);
    for (const c of this.#clients) c.close();
  }

  async #run(client: Client): Promise<void> {
    const { random, clients, rate } = this.#o;
    const pauseMs = (clients / rate) * 1000;
    while (!this.#over) {
      const began = performance.now();
      await this.#one(client, random.float());
      const left = pauseMs * (0.5 + random.float()) - (performance.now() - began);
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
  }

  #key(): string {
    return `${prefix}${String(this.#o.random.u32() % keyCount).padStart(2, '0')}`;
  }

  #put(key = this.#key()): { key: string; value: string } {
    return { key, value: `v${this.#values++}` };
  }

  async #one(client: Client, dice: number): Promise<void> {
    if (dice < 0.35) {
      const change = this.#put();
      await this.#record({ kind: 'write', changes: [change] }, async (o) => {
        o.revision = revisionOf(await client.put(change.key, change.value));
      });
    } else if (dice < 0.6) {
      const key = this.#key();
      await this.#record({ kind: 'read', changes: [], range: { key, end: undefined } }, async (o) => this.#read(o, await client.get(key)));
    } else if (dice < 0.65) {
      const key = this.#key();
      await this.#record({ kind: 'serializable', changes: [], range: { key, end: undefined } }, async (o) =>
        this.#read(o, await client.get(key, { serializable: true })),
      );
    } else if (dice < 0.7) {
      await this.#record({ kind: 'read', changes: [], range: { key: prefix, end: prefixEnd } }, async (o) =>
        this.#read(o, await client.get(prefix, { prefix: true })),
      );
    } else if (dice < 0.82) {
      const key = this.#key();
      const expects = { key, modRevision: this.#seen.get(key) ?? 0 };
      const change = this.#put(key);
      await this.#record({ kind: 'cas', changes: [change], expects, range: { key, end: undefined } }, async (o) => {
        const r = await client
          .txn()
          .if(compare.modRevision(key, '=', expects.modRevision))
          .then(op.put(key, change.value))
          .else(op.get(key))
          .commit();
        o.succeeded = r.succeeded;
        o.revision = revisionOf(r);
        const range = r.responses[0]?.responseRange;
        if (!r.succeeded && range !== undefined) {
          o.pairs = range.kvs.map(pairOf);
          this.#learn(o.pairs);
        }
      });
    } else if (dice < 0.9) {
      const puts = [...new Set([this.#key(), this.#key(), this.#key()])].map((key) => this.#put(key));
      const gone = this.#key();
      const changes: Change[] = puts.some((p) => p.key === gone) ? puts : [...puts, { key: gone, value: undefined }];
      await this.#record({ kind: 'write', changes }, async (o) => {
        const ops = changes.map((c) => (c.value === undefined ? op.delete(c.key) : op.put(c.key, c.value)));
        o.revision = revisionOf(
          await client
            .txn()
            .then(...ops)
            .commit(),
        );
      });
    } else if (dice < 0.96) {
      const key = this.#key();
      await this.#record({ kind: 'write', changes: [{ key, value: undefined }] }, async (o) => {
        const r = await client.delete(key);
        o.revision = revisionOf(r);
        o.deleted = r.deleted > 0;
      });
    } else await this.#lease(client);
  }

  /** A lease whose keys go with it. */
  async #lease(client: Client): Promise<void> {
    let id = 0n;
    try {
      id = (await client.grantLease(3600)).ID;
    } catch (error) {
      unknown(error);
      return;
    }
    const keys = [0, 1].map(() => `${prefix}l${this.#aside++}`);
    for (const key of keys) {
      const change = this.#put(key);
      await this.#record({ kind: 'write', changes: [change] }, async (o) => {
        o.revision = revisionOf(await client.put(key, change.value, { lease: id }));
      });
    }
    await this.#record({ kind: 'revoke', changes: keys.map((key) => ({ key, value: undefined })) }, async (o) => {
      o.revision = revisionOf(await client.call(rpc.Lease.leaseRevoke, { ID: id }));
    });
  }

  #read(o: Operation, r: { readonly header?: { readonly revision: number } | undefined; readonly kvs: readonly KeyValue[] }): void {
    o.revision = revisionOf(r);
    o.pairs = r.kvs.map(pairOf);
    this.#learn(o.pairs);
  }

  #learn(pairs: readonly Pair[]): void {
    for (const p of pairs) this.#seen.set(p.key, p.modRevision);
  }

  async #record(what: Pick<Operation, 'kind' | 'changes' | 'expects' | 'range'>, ask: (o: Operation) => Promise<void>): Promise<void> {
    const o: Operation = { ...what, began: performance.now(), ended: Infinity, outcome: 'unknown', revision: 0 };
    this.operations.push(o);
    try {
      await ask(o);
      o.ended = performance.now();
      o.outcome = 'ok';
      this.done++;
      if (o.kind !== 'serializable') this.highest = Math.max(this.highest, o.revision);
    } catch (error) {
      if (!unknown(error)) o.outcome = 'refused';
      const name = error instanceof Error ? error.message : String(error);
      this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
    }
  }
}

function revisionOf(r: { readonly header?: { readonly revision: number } | undefined }): number {
  return r.header?.revision ?? 0;
}

/** What one watch of all keys delivered, over however many streams. */
export class WatchLog {
  readonly revisions: Revision[] = [];
  readonly problems: string[] = [];
  readonly #client: Client;

  constructor(name: string, endpoints: readonly string[], from = 2) {
    this.#client = connect({ endpoints });
    const watcher = this.#client.watch('\0', { fromKey: true, startRevision: from });
    watcher.onBatch = (batch) => {
      let open: { revision: number; events: Revision['events'][number][] } | undefined;
      for (const e of batch.events) {
        const kv = e.kv as KeyValue;
        if (kv.modRevision !== open?.revision) {
          const last = this.last;
          if (kv.modRevision <= last) this.problems.push(`${name}: revision ${kv.modRevision} after ${last}`);
          open = { revision: kv.modRevision, events: [] };
          this.revisions.push(open);
        }
        open.events.push({
          key: text(kv.key),
          value: e.type === 1 ? undefined : text(kv.value),
          createRevision: kv.createRevision,
          version: kv.version,
        });
      }
    };
    watcher.onEnd = (error) => {
      if (error !== undefined) this.problems.push(`${name}: ${error.message}`);
    };
  }

  set endpoints(endpoints: readonly string[]) {
    this.#client.endpoints = endpoints;
  }

  get last(): number {
    return this.revisions.at(-1)?.revision ?? 1;
  }

  close(): void {
    this.#client.close();
  }
}
