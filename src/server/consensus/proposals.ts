/**
 * Requests on their way through raft: encoded once, gathered for a turn, known by their id until they are applied or have waited too long.
 */
import { InternalRaftRequest, RequestHeader } from '../../api/gen/etcdserverpb.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import type { RaftMachine, StepResult } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import type { AuthInfo, ApplyResult, Completion, RaftRequest } from '../apply/types.ts';
import type { RequestIds } from './request-id.ts';

/** Bytes of proposals held while there is no leader to take them; beyond it callers are told to come back. */
const heldBytesMax = 64 << 20;
/** Small entries share blocks of this many bytes: one allocation for some hundred puts. */
const blockBytes = 64 << 10;
/** Larger entries get memory of their own. */
const blockShareMax = 4 << 10;

const droppedStatus: Status = { code: Code.Unknown, message: 'raft proposal dropped' };

/** One proposal that somebody waits for. */
class Waiting {
  readonly low: number;
  readonly startMs: number;
  completion: Completion | undefined;

  constructor(low: number, startMs: number, completion: Completion) {
    this.low = low;
    this.startMs = startMs;
    this.completion = completion;
  }
}

interface Held {
  readonly data: Uint8Array;
  readonly low: number;
  /** Only to be proposed while this member leads in this term; 0 = by anyone at any time. */
  readonly onlyInTerm: number;
}

export interface ProposalsOptions {
  readonly raft: RaftMachine;
  readonly ids: RequestIds;
  readonly maxRequestBytes: number;
  readonly timeoutMs: number;
  readonly mono: () => number;
  readonly wake: () => void;
  /** Which of the timeout errors a request gets that began at `startMs`. */
  readonly timeoutStatus: (startMs: number) => Status;
}

export class Proposals {
  readonly #o: ProposalsOptions;
  readonly #byLow = new Map<number, Waiting>();
  /** In order of their start; entries that are done stay until they come up. */
  #order: Waiting[] = [];
  #orderFrom = 0;
  /** Not yet given to raft: gathered in this turn, or waiting for a leader. */
  #held: Held[] = [];
  #heldBytes = 0;
  #block = Buffer.allocUnsafeSlow(blockBytes);
  #blockUsed = 0;
  #stopped = false;
  failed = 0;

  constructor(options: ProposalsOptions) {
    this.#o = options;
  }

  get pending(): number {
    return this.#byLow.size;
  }

  /** See `MemberFacade.propose`. `onlyInTerm`: see `Held`. */
  propose(request: RaftRequest, auth: AuthInfo | undefined, completion: Completion, onlyInTerm = 0): void {
    const low = this.#o.ids.nextLow();
    const header = { ID: this.#o.ids.id(low), username: auth?.username ?? '', authRevision: auth?.revision ?? 0 };
    this.#take(InternalRaftRequest.encode({ ...request, header }), low, onlyInTerm, completion);
  }

  /** See `MemberFacade.proposeEncoded`. Field by field: the request under its number, then `header` (100) with the id. */
  proposeEncoded(field: number, request: Uint8Array, auth: AuthInfo | undefined, completion: Completion): void {
    const low = this.#o.ids.nextLow();
    const header =
      auth === undefined || auth.username === ''
        ? undefined
        : RequestHeader.encode({ ID: this.#o.ids.id(low), username: auth.username, authRevision: auth.revision });
    // Two tags of at most two bytes, two lengths of at most five, the id of at most eleven.
    const room = request.length + 14 + (header?.length ?? 11);
    const share = room <= blockShareMax;
    if (share && this.#blockUsed + room > blockBytes) {
      this.#block = Buffer.allocUnsafeSlow(blockBytes);
      this.#blockUsed = 0;
    }
    const out = share ? this.#block : Buffer.allocUnsafeSlow(room);
    const start = share ? this.#blockUsed : 0;
    let at = varint(out, start, field * 8 + 2);
    at = varint(out, at, request.length);
    out.set(request, at);
    at += request.length;
    // Field 100, bytes: 802.
    out[at++] = 0xa2;
    out[at++] = 0x06;
    if (header !== undefined) {
      at = varint(out, at, header.length);
      out.set(header, at);
      at += header.length;
    } else {
      const lengthAt = at++;
      out[at++] = 0x08;
      at = varint64(out, at, low % 4294967296, this.#o.ids.high(low));
      out[lengthAt] = at - lengthAt - 1;
    }
    if (share) this.#blockUsed = at;
    this.#take(out.subarray(start, at), low, 0, completion);
  }

  /** Registers an id whose entry is built elsewhere: configuration changes. */
  wait(low: number, completion: Completion): void {
    if (this.#stopped) {
      completion.complete(errors.stopped, undefined);
      return;
    }
    const waiting = new Waiting(low, this.#o.mono(), completion);
    this.#byLow.set(low, waiting);
    this.#order.push(waiting);
  }

  /** Whether somebody here waits for this id. */
  has(id: bigint): boolean {
    return this.#byLow.has(this.#o.ids.lowOf(id));
  }

  /** The completion of an applied request, taken out; undefined when it is another member's or has timed out. */
  claim(id: bigint): Completion | undefined {
    const low = this.#o.ids.lowOf(id);
    if (low < 0) return undefined;
    const waiting = this.#byLow.get(low);
    if (waiting === undefined) return undefined;
    this.#byLow.delete(low);
    const { completion } = waiting;
    waiting.completion = undefined;
    return completion;
  }

  /** Ends one that will never be applied. */
  abandon(low: number, error: Status): void {
    const waiting = this.#byLow.get(low);
    if (waiting === undefined) return;
    this.#byLow.delete(low);
    const { completion } = waiting;
    waiting.completion = undefined;
    this.failed++;
    completion?.complete(error, undefined);
  }

  /** Gives what was gathered to raft, as one step. Without a leader it waits, as etcd's proposals do, until it times out. */
  feed(): void {
    if (this.#held.length === 0) return;
    const { raft } = this.#o;
    if (raft.lead === 0n) return;
    let held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    const leads = raft.state === StateType.Leader;
    if (held.some((h) => h.onlyInTerm !== 0)) {
      held = held.filter((h) => {
        if (h.onlyInTerm === 0 || (leads && raft.term === h.onlyInTerm)) return true;
        this.abandon(h.low, errors.notLeader);
        return false;
      });
      if (held.length === 0) return;
    }
    const result = held.length === 1 ? raft.propose((held[0] as Held).data) : raft.proposeBatch(held.map((h) => h.data));
    if (result === 'ok') return;
    this.#dropped(held, result);
  }

  /** A batch is taken or dropped as a whole; part of it may still find room. */
  #dropped(held: readonly Held[], result: StepResult): void {
    if (held.length > 1) {
      for (const h of held) if (this.#o.raft.propose(h.data) !== 'ok') this.abandon(h.low, droppedStatus);
      return;
    }
    for (const h of held) this.abandon(h.low, result === 'dropped' ? droppedStatus : { code: Code.Unknown, message: result });
  }

  /** Ends what has waited too long; called every tick. */
  expire(): void {
    const before = this.#o.mono() - this.#o.timeoutMs;
    const order = this.#order;
    let from = this.#orderFrom;
    for (; from < order.length; from++) {
      const waiting = order[from] as Waiting;
      if (waiting.completion === undefined) continue;
      if (waiting.startMs > before) break;
      this.#forget(waiting.low);
      this.abandon(waiting.low, this.#o.timeoutStatus(waiting.startMs));
    }
    if (from > 1024 && from * 2 > order.length) {
      this.#order = order.slice(from);
      from = 0;
    }
    this.#orderFrom = from;
  }

  stop(): void {
    this.#stopped = true;
    this.#held = [];
    const order = this.#order;
    this.#order = [];
    this.#orderFrom = 0;
    for (const waiting of order) if (waiting.completion !== undefined) this.abandon(waiting.low, errors.stopped);
  }

  #take(data: Uint8Array, low: number, onlyInTerm: number, completion: Completion): void {
    if (this.#stopped) {
      completion.complete(errors.stopped, undefined);
      return;
    }
    if (data.length > this.#o.maxRequestBytes) {
      completion.complete(errors.requestTooLarge, undefined);
      return;
    }
    if (this.#heldBytes + data.length > heldBytesMax) {
      this.failed++;
      completion.complete(errors.tooManyRequestsUnknown, undefined);
      return;
    }
    this.wait(low, completion);
    this.#held.push({ data, low, onlyInTerm });
    this.#heldBytes += data.length;
    this.#o.wake();
  }

  /** A request that timed out before it was proposed must not take effect later. */
  #forget(low: number): void {
    if (this.#held.length === 0) return;
    const kept = this.#held.filter((h) => h.low !== low);
    if (kept.length === this.#held.length) return;
    this.#held = kept;
    this.#heldBytes = kept.reduce((sum, h) => sum + h.data.length, 0);
  }
}

/** A completion from a function. */
export function onComplete(fn: (error: Status | undefined, result: ApplyResult | undefined) => void): Completion {
  return { complete: fn };
}

function varint(out: Uint8Array, at: number, v: number): number {
  while (v > 127) {
    out[at++] = (v & 127) | 128;
    v >>>= 7;
  }
  out[at++] = v;
  return at;
}

function varint64(out: Uint8Array, at: number, lo: number, hi: number): number {
  lo >>>= 0;
  while (hi !== 0) {
    out[at++] = (lo & 127) | 128;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  return varint(out, at, lo);
}
