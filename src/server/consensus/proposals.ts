/**
 * Requests on their way through raft: encoded once, gathered for a turn, known by their id until they are applied or have waited too long.
 */
import { InternalRaftRequest, RequestHeader } from '../../api/gen/etcdserverpb.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import { IdTable } from '../../base/id-table.ts';
import { Queue } from '../../base/queue.ts';
import type { RaftMachine, StepResult } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import type { AuthInfo, ApplyResult, Completion, RaftRequest } from '../apply/types.ts';
import type { RaftSpans } from './raft-spans.ts';
import type { RequestIds } from './request-id.ts';

/** Bytes of proposals held while there is no leader to take them; beyond it callers are told to come back. */
const heldBytesMax = 64 << 20;
/** Small entries share blocks of this many bytes: one allocation for some hundred puts. */
const blockBytes = 64 << 10;
/** Larger entries get memory of their own. */
const blockShareMax = 4 << 10;

const droppedStatus: Status = { code: Code.Unknown, message: 'raft proposal dropped' };

/** One proposal, from the call to its end. */
export class Waiting {
  readonly low: number;
  readonly startMs: number;
  /** Undefined once told. */
  completion: Completion | undefined;
  /** The entry's data; undefined for one whose entry is built elsewhere, and when it is applied. */
  data: Uint8Array | undefined;
  /** Only to be proposed while this member leads in this term; 0 = by anyone at any time. */
  readonly onlyInTerm: number;
  /** For a request that travels as it came: its field, and the message when the caller had decoded it. */
  readonly field: number;
  message: unknown;

  constructor(
    low: number,
    startMs: number,
    completion: Completion,
    data: Uint8Array | undefined,
    onlyInTerm: number,
    field: number,
    message: unknown,
  ) {
    this.low = low;
    this.startMs = startMs;
    this.completion = completion;
    this.data = data;
    this.onlyInTerm = onlyInTerm;
    this.field = field;
    this.message = message;
  }
}

export interface ProposalsOptions {
  readonly raft: RaftMachine;
  readonly ids: RequestIds;
  readonly maxRequestBytes: number;
  readonly timeoutMs: number;
  readonly mono: () => number;
  readonly wake: () => void;
  readonly spans: RaftSpans;
  /** Which of the timeout errors a request gets that began at `startMs`. */
  readonly timeoutStatus: (startMs: number) => Status;
}

export class Proposals {
  readonly #o: ProposalsOptions;
  /**
   * Those proposed while this member leads, in the order of the log: an applied entry is theirs when its data is the very object. Most are
   * answered from here, without a look at the id.
   */
  readonly #led = new Queue<Waiting>();
  /** The others (forwarded to a leader, or left from a leadership that ended), by the lower 48 bits of their id. */
  readonly #byLow = new IdTable<Waiting>();
  /** In order of their start; those that are done stay until they come up. */
  readonly #order = new Queue<Waiting>();
  /** Not yet given to raft: gathered in this turn, or waiting for a leader. */
  #held: Waiting[] = [];
  #heldBytes = 0;
  #block = Buffer.allocUnsafeSlow(blockBytes);
  #blockUsed = 0;
  #stopped = false;
  #pending = 0;
  /** The clock as of the first proposal since the last feed. */
  #nowMs = -1;
  failed = 0;

  constructor(options: ProposalsOptions) {
    this.#o = options;
  }

  get pending(): number {
    return this.#pending;
  }

  /** See `MemberFacade.propose`. `onlyInTerm`: see `Held`. */
  propose(request: RaftRequest, auth: AuthInfo | undefined, completion: Completion, onlyInTerm = 0): void {
    const low = this.#o.ids.nextLow();
    const header = { ID: this.#o.ids.id(low), username: auth?.username ?? '', authRevision: auth?.revision ?? 0 };
    this.#take(InternalRaftRequest.encode({ ...request, header }), low, onlyInTerm, completion, 0, undefined);
  }

  /** See `MemberFacade.proposeEncoded`. Field by field: the request under its number, then `header` (100) with the id. */
  proposeEncoded(field: number, request: Uint8Array, auth: AuthInfo | undefined, completion: Completion, message?: unknown): void {
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
    this.#take(out.subarray(start, at), low, 0, completion, header === undefined ? field : 0, message);
  }

  /** Registers an id whose entry is built elsewhere: configuration changes. */
  wait(low: number, completion: Completion): void {
    if (this.#stopped) {
      completion.complete(errors.stopped, undefined);
      return;
    }
    const waiting = new Waiting(low, this.#o.mono(), completion, undefined, 0, 0, undefined);
    this.#byLow.set(low, waiting);
    this.#order.push(waiting);
    this.#pending++;
  }

  /** Whether somebody here waits for this id. */
  has(id: bigint): boolean {
    return this.#byLow.has(this.#o.ids.lowOf(id));
  }

  /** The proposal of this very entry, taken out; undefined when it has to be looked for by `claim`. */
  claimLed(data: Uint8Array): Waiting | undefined {
    const { head } = this.#led;
    if (head === undefined || head.data !== data) return undefined;
    this.#led.shift();
    return head;
  }

  /** The completion of an applied request, taken out; undefined when it is another member's or has timed out. */
  claim(id: bigint): Completion | undefined {
    if (this.#byLow.size === 0) return undefined;
    const waiting = this.#byLow.get(this.#o.ids.lowOf(id));
    if (waiting === undefined) return undefined;
    this.#byLow.delete(waiting.low);
    return this.settle(waiting);
  }

  /** Takes the completion out: whoever gets it must tell it. */
  settle(waiting: Waiting): Completion | undefined {
    const { completion } = waiting;
    if (completion === undefined) return undefined;
    waiting.completion = undefined;
    this.#pending--;
    return completion;
  }

  /** Ends one that will never be applied. */
  abandon(low: number, error: Status): void {
    const waiting = this.#byLow.get(low);
    if (waiting !== undefined) this.#fail(waiting, error);
  }

  #fail(waiting: Waiting, error: Status): void {
    this.#byLow.delete(waiting.low);
    const completion = this.settle(waiting);
    if (completion === undefined) return;
    if (completion.span !== undefined && waiting.data !== undefined) this.#o.spans.dropped(waiting.data);
    this.failed++;
    completion.complete(error, undefined);
  }

  /** This member stopped leading: what it proposed may come back from others, or never. */
  leadershipLost(): void {
    for (const waiting of this.#led.takeAll()) if (waiting.completion !== undefined) this.#byLow.set(waiting.low, waiting);
  }

  /** Gives what was gathered to raft, as one step. Without a leader it waits, as etcd's proposals do, until it times out. */
  feed(): void {
    this.#nowMs = -1;
    if (this.#held.length === 0) return;
    const { raft } = this.#o;
    if (raft.lead === 0n) return;
    const leads = raft.state === StateType.Leader;
    const held: Waiting[] = [];
    const data: Uint8Array[] = [];
    for (const waiting of this.#held) {
      // Timed out before it was proposed: it must not take effect later.
      if (waiting.completion === undefined || waiting.data === undefined) continue;
      if (waiting.onlyInTerm !== 0 && !(leads && raft.term === waiting.onlyInTerm)) {
        this.#fail(waiting, errors.notLeader);
        continue;
      }
      held.push(waiting);
      data.push(waiting.data);
      const { span } = waiting.completion;
      if (span !== undefined) this.#o.spans.proposed(waiting.data, span);
    }
    this.#held = [];
    this.#heldBytes = 0;
    if (held.length === 0) return;
    const result = data.length === 1 ? raft.propose(data[0] as Uint8Array) : raft.proposeBatch(data);
    if (result === 'ok') for (const waiting of held) this.#proposed(waiting, leads);
    else this.#dropped(held, leads, result);
  }

  #proposed(waiting: Waiting, leads: boolean): void {
    if (leads) this.#led.push(waiting);
    else this.#byLow.set(waiting.low, waiting);
  }

  /** A batch is taken or dropped as a whole; part of it may still find room. */
  #dropped(held: readonly Waiting[], leads: boolean, result: StepResult): void {
    for (const waiting of held) {
      const again = held.length === 1 ? result : this.#o.raft.propose(waiting.data as Uint8Array);
      if (again === 'ok') this.#proposed(waiting, leads);
      else this.#fail(waiting, again === 'dropped' ? droppedStatus : { code: Code.Unknown, message: again });
    }
  }

  /** Ends what has waited too long; called every tick. */
  expire(): void {
    const before = this.#o.mono() - this.#o.timeoutMs;
    for (;;) {
      const { head } = this.#order;
      if (head === undefined || (head.completion !== undefined && head.startMs > before)) return;
      this.#order.shift();
      if (head.completion !== undefined) this.#fail(head, this.#o.timeoutStatus(head.startMs));
    }
  }

  /** So that the queue grows no longer than what waits. */
  #dropSettled(): void {
    for (let n = 0; n < 2; n++) {
      const { head } = this.#order;
      if (head === undefined || head.completion !== undefined) return;
      this.#order.shift();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#held = [];
    this.#led.takeAll();
    for (const waiting of this.#order.takeAll()) this.#fail(waiting, errors.stopped);
  }

  #take(data: Uint8Array, low: number, onlyInTerm: number, completion: Completion, field: number, message: unknown): void {
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
    if (this.#nowMs < 0) this.#nowMs = this.#o.mono();
    const waiting = new Waiting(low, this.#nowMs, completion, data, onlyInTerm, field, message);
    this.#dropSettled();
    this.#order.push(waiting);
    this.#pending++;
    this.#held.push(waiting);
    this.#heldBytes += data.length;
    this.#o.wake();
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
