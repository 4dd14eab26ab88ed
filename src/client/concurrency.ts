/**
 * Sessions, locks, elections and software transactional memory, with the key layout of etcd's own clients, so that both can share a lock.
 *
 * A lock is the owner key with the lowest create revision under its prefix. It does not exclude a paused process from the outside world: use
 * `Mutex.revision` as a fencing token, or guard every write by `Mutex.isOwner()` in a transaction.
 */
import {
  RangeRequest_SortOrder as SortOrder,
  RangeRequest_SortTarget as SortTarget,
  type RequestOp,
  type ResponseHeader,
  type TxnResponse,
} from '../api/gen/etcdserverpb.ts';
import * as rpc from '../api/gen/methods.ts';
import type { KeyValue } from '../api/gen/mvccpb.ts';
import type { Init } from '../api/proto-io.ts';
import { copyBytes, equalBytes, prefixEnd, utf8, utf8Text } from '../base/bytes.ts';
import { compare, op, type Bytes, type Client } from './client.ts';
import { LeaseExpiredError } from './errors.ts';
import type { KeptLease } from './lease.ts';

/** Default TTL of a session, as etcd's clients have it. */
const sessionTtlSeconds = 60;

/** A lease kept alive for as long as the process lives: what it owns goes when the process does. */
export class Session {
  readonly client: Client;
  readonly lease: bigint;
  readonly #kept: KeptLease;
  readonly #lost = new AbortController();

  private constructor(client: Client, lease: bigint, ttl: number) {
    this.client = client;
    this.lease = lease;
    this.#kept = client.keepLease(lease, ttl);
    this.#kept.onLost = () => this.#lost.abort(new LeaseExpiredError('session lease expired'));
  }

  static async create(client: Client, options: { readonly ttlSeconds?: number; readonly lease?: bigint } = {}): Promise<Session> {
    if (options.lease !== undefined) return new Session(client, options.lease, options.ttlSeconds ?? sessionTtlSeconds);
    const granted = await client.grantLease(options.ttlSeconds ?? sessionTtlSeconds);
    return new Session(client, granted.ID, granted.TTL);
  }

  /** Fires when the lease is lost; what the session owned may belong to others from then on. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Stops renewing and leaves the lease to run out. */
  orphan(): void {
    this.#kept.stop();
  }

  async close(): Promise<void> {
    this.#kept.stop();
    await this.client.revokeLease(this.lease);
  }
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

const joinKey = (prefix: Uint8Array, lease: bigint): Uint8Array => Buffer.concat([prefix, utf8(lease.toString(16))]);

/** The owner: the pair with the lowest create revision under the prefix. */
const ownerOp = (prefix: Uint8Array): Init<RequestOp> => ({
  requestRange: { key: prefix, rangeEnd: prefixEnd(prefix), sortOrder: SortOrder.ASCEND, sortTarget: SortTarget.CREATE, limit: 1 },
});

/** Puts the session's own key under the prefix unless it is there, and reads the owner in the same transaction. */
async function enlist(
  session: Session,
  prefix: Uint8Array,
  key: Uint8Array,
  value: Uint8Array,
): Promise<{ response: TxnResponse; revision: number; owner: KeyValue | undefined }> {
  const response = await session.client
    .txn()
    .if(compare.createRevision(key, '=', 0))
    .then(op.put(key, value, { lease: session.lease }), ownerOp(prefix))
    .else(op.get(key), ownerOp(prefix))
    .commit();
  const revision = response.succeeded
    ? (response.header?.revision ?? 0)
    : (response.responses[0]?.responseRange?.kvs[0]?.createRevision ?? 0);
  return { response, revision, owner: response.responses[1]?.responseRange?.kvs[0] };
}

/** Waits until no key under the prefix is older than `revision`. */
async function waitForOlder(client: Client, prefix: Uint8Array, revision: number, options: WaitOptions): Promise<void> {
  for (;;) {
    const older = await client.call(
      rpc.KV.range,
      {
        key: prefix,
        rangeEnd: prefixEnd(prefix),
        sortOrder: SortOrder.DESCEND,
        sortTarget: SortTarget.CREATE,
        limit: 1,
        maxCreateRevision: revision - 1,
      },
      { signal: options.signal },
    );
    const last = older.kvs[0];
    if (last === undefined) return;
    await waitDeleted(client, last.key, older.header?.revision ?? 0, options);
  }
}

async function waitDeleted(client: Client, key: Uint8Array, revision: number, options: WaitOptions): Promise<void> {
  const watcher = client.watch(copyBytes(key), { startRevision: revision, noPut: true });
  const stop = (): void => watcher.cancel();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const batch of watcher) if (batch.events.length > 0) return;
    options.signal?.throwIfAborted();
  } finally {
    options.signal?.removeEventListener('abort', stop);
    watcher.cancel();
  }
}

/** A lock under a prefix, owned by one session at a time, in the order of arrival. */
export class Mutex {
  readonly #session: Session;
  readonly #prefix: Uint8Array;
  readonly key: Uint8Array;
  #revision = 0;

  constructor(session: Session, name: Bytes) {
    this.#session = session;
    this.#prefix = Buffer.concat([typeof name === 'string' ? utf8(name) : name, utf8('/')]);
    this.key = joinKey(this.#prefix, session.lease);
  }

  /** Create revision of the owned key: a fencing token, growing with each owner. 0 when not locked. */
  get revision(): number {
    return this.#revision;
  }

  /** @throws LeaseExpiredError when the session was lost while waiting; the signal's reason when aborted (the place in the queue is given up). */
  async lock(options: WaitOptions = {}): Promise<void> {
    const client = this.#session.client;
    const { revision, owner } = await enlist(this.#session, this.#prefix, this.key, new Uint8Array(0));
    if (owner !== undefined && owner.createRevision !== revision) {
      const signal = options.signal === undefined ? this.#session.lost : AbortSignal.any([options.signal, this.#session.lost]);
      try {
        await waitForOlder(client, this.#prefix, revision, { signal });
      } catch (error) {
        await client.delete(this.key).catch(() => undefined);
        throw error;
      }
      // The own key may have gone with its lease just before its turn: then this is no lock.
      const own = await client.getOne(this.key);
      if (own === undefined || own.createRevision !== revision) throw new LeaseExpiredError('mutex: session is expired');
    }
    this.#revision = revision;
  }

  /** Locks only if nobody holds or awaits it. */
  async tryLock(): Promise<boolean> {
    const { revision, owner } = await enlist(this.#session, this.#prefix, this.key, new Uint8Array(0));
    if (owner === undefined || owner.createRevision === revision) {
      this.#revision = revision;
      return true;
    }
    await this.#session.client.delete(this.key);
    return false;
  }

  /** A condition for transactions that must only happen while this lock is held. */
  isOwner(): ReturnType<typeof compare.createRevision> {
    return compare.createRevision(this.key, '=', this.#revision);
  }

  async unlock(): Promise<void> {
    await this.#session.client.delete(this.key);
    this.#revision = 0;
  }
}

/** Leader election under a prefix: the leader is the owner of the oldest key, its value is what it proclaims. */
export class Election {
  readonly #session: Session;
  readonly #prefix: Uint8Array;
  #key: Uint8Array | undefined;
  #revision = 0;

  constructor(session: Session, name: Bytes) {
    this.#session = session;
    this.#prefix = Buffer.concat([typeof name === 'string' ? utf8(name) : name, utf8('/')]);
  }

  get key(): Uint8Array | undefined {
    return this.#key;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Resolves once elected. */
  async campaign(value: Bytes, options: WaitOptions = {}): Promise<void> {
    const client = this.#session.client;
    const key = joinKey(this.#prefix, this.#session.lease);
    const wanted = typeof value === 'string' ? utf8(value) : value;
    const { response, revision } = await enlist(this.#session, this.#prefix, key, wanted);
    this.#key = key;
    this.#revision = revision;
    if (!response.succeeded) {
      const own = response.responses[0]?.responseRange?.kvs[0];
      if (own !== undefined && !equalBytes(own.value, wanted)) await this.proclaim(wanted);
    }
    const signal = options.signal === undefined ? this.#session.lost : AbortSignal.any([options.signal, this.#session.lost]);
    try {
      await waitForOlder(client, this.#prefix, revision, { signal });
    } catch (error) {
      await this.resign().catch(() => undefined);
      throw error;
    }
    const own = await client.getOne(key);
    if (own === undefined || own.createRevision !== revision) throw new LeaseExpiredError('election: session is expired');
  }

  /** Changes the leader's value without a new election. */
  async proclaim(value: Bytes): Promise<void> {
    const key = this.#key;
    if (key === undefined) throw new Error('election: not leader');
    const response = await this.#session.client
      .txn()
      .if(compare.createRevision(key, '=', this.#revision))
      .then(op.put(key, value, { lease: this.#session.lease }))
      .commit();
    if (!response.succeeded) {
      this.#key = undefined;
      throw new Error('election: not leader');
    }
  }

  async resign(): Promise<void> {
    const key = this.#key;
    if (key === undefined) return;
    this.#key = undefined;
    await this.#session.client
      .txn()
      .if(compare.createRevision(key, '=', this.#revision))
      .then(op.delete(key))
      .commit();
  }

  /** The leader's pair, or undefined when there is none. */
  async leader(): Promise<KeyValue | undefined> {
    return leaderOf(this.#session.client, this.#prefix);
  }

  /** Each leader and each value it proclaims, in order of revision, beginning with the current one. */
  observe(options: WaitOptions = {}): AsyncGenerator<KeyValue, void, void> {
    return observe(this.#session.client, this.#prefix, options);
  }
}

async function leaderOf(client: Client, prefix: Uint8Array): Promise<KeyValue | undefined> {
  const { kvs } = await client.get(prefix, { prefix: true, sort: { by: 'CREATE', order: 'ASCEND' }, limit: 1 });
  return kvs[0];
}

/** Observes an election without taking part; `prefix` ends in a slash. */
export async function* observe(client: Client, prefix: Uint8Array, options: WaitOptions = {}): AsyncGenerator<KeyValue, void, void> {
  for await (const { kv } of observeResponses(client, prefix, options)) yield kv;
}

/** A leader with the header of the answer that told of it. */
export interface Observed {
  readonly kv: KeyValue;
  readonly header: ResponseHeader | undefined;
}

/** As `observe`, with headers. */
export async function* observeResponses(
  client: Client,
  prefix: Uint8Array,
  options: WaitOptions = {},
): AsyncGenerator<Observed, void, void> {
  for (;;) {
    if (options.signal?.aborted) return;
    const response = await client.get(prefix, { prefix: true, sort: { by: 'CREATE', order: 'ASCEND' }, limit: 1 });
    let leader = response.kvs[0];
    let header = response.header;
    let from = (header?.revision ?? 0) + 1;
    if (leader === undefined) {
      const first = await firstPut(client, prefix, from, options);
      if (first === undefined) return;
      leader = first.kv;
      header = first.header;
      from = leader.modRevision + 1;
    }
    yield { kv: leader, header };
    const watcher = client.watch(leader.key, { startRevision: Math.min(from, leader.modRevision + 1) });
    const stop = (): void => watcher.cancel();
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted) watcher.cancel();
    try {
      let deposed = false;
      for await (const batch of watcher) {
        for (const e of batch.events) {
          if (e.type === 1) {
            deposed = true;
            break;
          }
          if (e.kv !== undefined) yield { kv: e.kv, header: batch.raw.header };
        }
        if (deposed) break;
      }
      if (!deposed) return;
    } finally {
      options.signal?.removeEventListener('abort', stop);
      watcher.cancel();
    }
  }
}

async function firstPut(client: Client, prefix: Uint8Array, from: number, options: WaitOptions): Promise<Observed | undefined> {
  const watcher = client.watch(prefix, { prefix: true, startRevision: from, noDelete: true });
  const stop = (): void => watcher.cancel();
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted) watcher.cancel();
  try {
    for await (const batch of watcher) for (const e of batch.events) if (e.kv !== undefined) return { kv: e.kv, header: batch.raw.header };
    return undefined;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    watcher.cancel();
  }
}

/** What a transactional function may do. Reads see the function's own writes. */
export interface StmView {
  get(key: string): Promise<string | undefined>;
  put(key: string, value: string): void;
  delete(key: string): void;
}

/** Tries before `stm` gives up under contention. */
const stmAttemptsMax = 1000;

/**
 * Runs `fn` as an atomic transaction over keys that it chooses as it goes: what it read is compared at commit, and it runs again when
 * somebody changed it. All reads of one run are of one revision. `fn` must have no other effects.
 */
export async function stm<T>(client: Client, fn: (view: StmView) => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < stmAttemptsMax; attempt++) {
    const reads = new Map<string, KeyValue | undefined>();
    const writes = new Map<string, string | undefined>();
    let revision = 0;
    const view: StmView = {
      async get(key) {
        if (writes.has(key)) return writes.get(key);
        if (!reads.has(key)) {
          const response = await client.get(key, { revision });
          if (revision === 0) revision = response.header?.revision ?? 0;
          reads.set(key, response.kvs[0]);
        }
        const kv = reads.get(key);
        return kv === undefined ? undefined : utf8Text(kv.value);
      },
      put: (key, value) => void writes.set(key, value),
      delete: (key) => void writes.set(key, undefined),
    };
    const result = await fn(view);
    if (writes.size === 0 && reads.size <= 1) return result;
    const response = await client
      .txn()
      .if(...[...reads].map(([key, kv]) => compare.modRevision(key, '=', kv?.modRevision ?? 0)))
      .then(...[...writes].map(([key, value]) => (value === undefined ? op.delete(key) : op.put(key, value))))
      .commit();
    if (response.succeeded) return result;
  }
  throw new Error('stm: gave up after too much contention');
}
