/**
 * Answers of long ranges, read while they are sent: what a client has not taken yet is a few slices, not the answer. They take turns; one whose client
 * is slow waits for it, unless a compaction waits in turn.
 */
import type { RangeRequest, RangeResponse } from '../../api/gen/etcdserverpb.ts';
import { Code, type Status } from '../../api/status.ts';
import { Queue } from '../../base/queue.ts';
import type { UnaryCall } from '../../wire/call.ts';
import { sliceMs } from '../mvcc/slices.ts';
import type { RangeRest } from '../mvcc/range-rest.ts';
import type { ServiceContext } from './context.ts';

/** Time in one turn of the loop for all of them together. */
const turnMs = 4;

type Call = UnaryCall<RangeRequest, RangeResponse>;
/** A call whose answer may come in parts. */
export type PartedCall = Call & Required<Pick<Call, 'replyBegin' | 'replyPart'>>;

export function takesParts(call: Call): call is PartedCall {
  return call.replyBegin !== undefined && call.replyPart !== undefined;
}

const replaced: Status = { code: Code.Unavailable, message: 'the store was replaced by a snapshot' };

export class RangeParts {
  readonly #context: ServiceContext;
  /** Those that can go on. */
  readonly #ready = new Queue<PartedAnswer>();
  #pumping = false;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** Answers with what is known, with the rows of `rest`, and with what comes behind them. Closes `rest`. */
  answer(call: PartedCall, known: readonly Uint8Array[], rest: RangeRest, tail: readonly Uint8Array[]): void {
    let bytes = rest.bytes;
    for (const part of known) bytes += part.length;
    for (const part of tail) bytes += part.length;
    if (!call.replyBegin(bytes)) {
      rest.close();
      return;
    }
    new PartedAnswer(call, rest, tail, (answer) => this.#goOn(answer)).begin(known);
  }

  #goOn(answer: PartedAnswer): void {
    this.#ready.push(answer);
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#context.member.clock.defer(this.#pump);
  }

  readonly #pump = (): void => {
    this.#pumping = false;
    const { clock } = this.#context.member;
    const endsMs = clock.mono() + turnMs;
    while (this.#ready.length > 0) {
      const now = clock.mono();
      if (now >= endsMs) break;
      this.#ready.shift()?.slice(Math.min(now + sliceMs, endsMs));
    }
    if (this.#ready.length > 0) this.#pumpSoon();
  };
}

class PartedAnswer {
  readonly #call: PartedCall;
  readonly #rest: RangeRest;
  readonly #tail: readonly Uint8Array[];
  readonly #goOn: (answer: PartedAnswer) => void;
  /** It waits for its client. */
  #waits = false;

  constructor(call: PartedCall, rest: RangeRest, tail: readonly Uint8Array[], goOn: (answer: PartedAnswer) => void) {
    this.#call = call;
    this.#rest = rest;
    this.#tail = tail;
    this.#goOn = goOn;
  }

  begin(known: readonly Uint8Array[]): void {
    const call = this.#call;
    if (call.lane !== undefined) call.lane.gathering++;
    call.onCancel = () => this.#end();
    call.onDrain = () => this.#wake();
    this.#rest.onAwaited = () => this.#wake();
    this.#send(known);
  }

  /** Works until the clock shows `until`. */
  slice(until: number): void {
    if (this.#call.cancelled) return;
    const parts = this.#rest.read(until);
    if (parts === undefined) {
      this.#end();
      this.#call.fail(replaced);
    } else if (this.#rest.finished) {
      this.#end();
      this.#call.replyPart([...parts, ...this.#tail]);
    } else this.#send(parts);
  }

  #send(parts: readonly Uint8Array[]): void {
    if (this.#call.replyPart(parts) || this.#rest.isAwaited) this.#goOn(this);
    else this.#waits = true;
  }

  #wake(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#goOn(this);
  }

  #end(): void {
    const call = this.#call;
    this.#waits = false;
    call.onCancel = undefined;
    call.onDrain = undefined;
    if (call.lane !== undefined) call.lane.gathering--;
    this.#rest.close();
  }
}
