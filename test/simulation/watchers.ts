/** Watchers, each with the rules of its stream: ordered, unique, whole revisions, nothing left out, marks that keep their word. */
import type { WatchCreateRequest, WatchRequest, WatchResponse } from '../../src/api/gen/etcdserverpb.ts';
import type { Event } from '../../src/api/gen/mvccpb.ts';
import { Watch } from '../../src/api/gen/methods.ts';
import { bytes, type Caller, type CallerStream } from './clients.ts';
import { eventText, inRange, kvText, latin, type Model } from './model.ts';

/** Mean time until a watcher moves on: another range, another member. */
const lifeMs = 3000;

interface Wish {
  readonly key: string;
  readonly end: string;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly fragment: boolean;
}

export class WatchClient {
  readonly #caller: Caller;
  readonly #model: Model;
  #stream: CallerStream<WatchRequest> | undefined;
  #wish: Wish | undefined;
  /** All matching events below this have come; 0 until the server has said where it begins. */
  #next = 0;
  /** Asked for; 0 = from now on. */
  #from = 0;
  #created = false;
  /** Fragments of a revision that is not whole yet. */
  #parts: Event[] = [];
  #turn = 0;
  #stopped = false;
  readonly counts = { events: 0, progress: 0, resumed: 0, compacted: 0 };

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#model = caller.cluster.oracle.model;
  }

  start(): void {
    const { world, random } = this.#caller;
    world.after(random.float() * 1000, () => this.#fresh());
  }

  /** No more wishes: what is watched is watched to the end. */
  stop(): void {
    this.#stopped = true;
  }

  /** Everything that there is to see has come. */
  get caughtUp(): boolean {
    return (
      this.#wish === undefined || (this.#created && this.#parts.length === 0 && this.#matching(this.#next, this.#model.rev).length === 0)
    );
  }

  get state(): string {
    return `${this.#created ? 'created' : 'waiting'}, next ${this.#next}, store ${this.#model.rev}`;
  }

  #fresh(): void {
    const { random, cluster } = this.#caller;
    const key = (): string => `k${String(random.u32() % cluster.knobs.keys).padStart(2, '0')}`;
    const dice = random.u32() % 3;
    const [a, b] = [key(), key()].sort() as [string, string];
    this.#wish = {
      key: dice === 0 ? 'k' : a,
      end: dice === 0 ? '\0' : dice === 1 ? '' : `${b}\0`,
      prevKv: random.u32() % 2 === 0,
      noPut: random.u32() % 8 === 0,
      noDelete: random.u32() % 8 === 0,
      fragment: random.u32() % 4 === 0,
    };
    const near = this.#model.rev + (random.u32() % 30) - 24;
    this.#open(random.u32() % 2 === 0 ? 0 : Math.max(1, near));
  }

  #open(from: number): void {
    const { world, random } = this.#caller;
    const wish = this.#wish as Wish;
    const turn = ++this.#turn;
    this.#from = from;
    this.#next = from;
    this.#created = false;
    this.#parts = [];
    const machine = this.#caller.machine();
    if (machine === undefined) return;
    world.trace?.(
      `client ${this.#caller.number} watch ${turn} of [${wish.key}, ${JSON.stringify(wish.end)}) from ${from} on ${machine.name}`,
    );
    const again = (): void => {
      if (turn !== this.#turn) return;
      this.#created = false;
      // What was seen is the place to go on from.
      world.after(50 + random.float() * 200, () => {
        if (turn !== this.#turn) return;
        this.counts.resumed++;
        this.#open(this.#next);
      });
    };
    const stream = this.#caller.stream<WatchRequest, WatchResponse>(
      machine,
      Watch.watch,
      (m) => {
        if (turn === this.#turn) this.#take(m, wish);
      },
      again,
    );
    this.#stream = stream;
    const create: WatchCreateRequest = {
      key: bytes(wish.key),
      rangeEnd: bytes(wish.end),
      startRevision: from,
      progressNotify: random.u32() % 2 === 0,
      filters: [...(wish.noPut ? [0] : []), ...(wish.noDelete ? [1] : [])],
      prevKv: wish.prevKv,
      watchId: 0,
      fragment: wish.fragment,
    };
    stream.send({ createRequest: create });
    if (random.u32() % 4 === 0) stream.send({ progressRequest: {} });
    const rest = -Math.log(1 - random.float()) * lifeMs;
    if (random.u32() % 3 === 0) {
      world.after(rest / 3, () => stream.send({ progressRequest: {} }));
    }
    if (random.u32() % 4 === 0) {
      // Reads nothing for a while.
      world.after(rest / 4, () => stream.pause(true));
      world.after(rest / 2, () => stream.pause(false));
    }
    world.after(rest, () => {
      if (turn !== this.#turn || this.#stopped) return;
      stream.cancel();
      // On with the same on another member, or with something else.
      if (random.u32() % 3 !== 0 && this.#created) this.#open(this.#next);
      else this.#fresh();
    });
  }

  #fail(what: string): void {
    const { world, number } = this.#caller;
    const wish = this.#wish as Wish;
    world.fail(`watch of [${wish.key}, ${JSON.stringify(wish.end)}) from ${this.#from} by client ${number}: ${what}`);
  }

  #take(m: WatchResponse, wish: Wish): void {
    const { world } = this.#caller;
    const rev = m.header?.revision ?? 0;
    world.mix(rev);
    if (world.trace !== undefined) {
      const what = m.created ? 'created' : m.canceled ? 'canceled' : `${m.events.length} events`;
      world.trace(`client ${this.#caller.number} watch ${this.#turn}: ${what} at ${rev}, next ${this.#next}`);
    }
    if (rev > this.#model.rev) return this.#fail(`a header tells of revision ${rev}, nobody is past ${this.#model.rev}`);
    if (m.created) {
      this.#created = true;
      if (this.#from === 0) this.#next = rev + 1;
      if (!m.canceled) return;
    }
    if (m.canceled) {
      if (m.compactRevision === 0) {
        this.#fail(`was canceled: ${m.cancelReason}`);
        return;
      }
      this.counts.compacted++;
      if (this.#next >= m.compactRevision)
        this.#fail(`was canceled as compacted at ${m.compactRevision}, but only ${this.#next} on was wanted`);
      if (m.compactRevision > this.#model.compactRev)
        this.#fail(`was told of a compaction to ${m.compactRevision}, it went to ${this.#model.compactRev}`);
      this.#stream?.cancel();
      this.#turn++;
      // Whatever was there is gone; on from where the store begins.
      world.after(20, () => this.#open(m.compactRevision));
      return;
    }
    if (m.events.length === 0) {
      // A mark: nothing up to `rev` is still to come.
      this.counts.progress++;
      const left = this.#matching(this.#next, rev, wish);
      if (left.length > 0) this.#fail(`a mark at ${rev} came before the event ${left[0]?.text ?? ''}`);
      if (this.#created) this.#next = Math.max(this.#next, rev + 1);
      return;
    }
    this.#parts.push(...m.events);
    if (m.fragment) return;
    const events = this.#parts;
    this.#parts = [];
    this.counts.events += events.length;
    const last = events[events.length - 1]?.kv?.modRevision ?? 0;
    const wanted = this.#matching(this.#next, last, wish);
    if (events.length !== wanted.length || events.some((e, i) => !this.#same(e, wanted[i] as Wanted))) {
      this.#fail(
        `wanted revisions ${this.#next} to ${last}:\n  ${wanted.map((w) => w.text).join('\n  ')}\ngot\n  ${events.map((e) => gotText(e, true)).join('\n  ')}`,
      );
    }
    this.#next = last + 1;
  }

  /** The former state may be missing when a compaction has taken it. */
  #same(e: Event, wanted: Wanted): boolean {
    const text = gotText(e, true);
    return text === wanted.text || (text === wanted.bare && wanted.rev - 1 < this.#model.compactRev);
  }

  #matching(from: number, to: number, wish = this.#wish as Wish): Wanted[] {
    const out: Wanted[] = [];
    for (let rev = Math.max(1, from); rev <= to; rev++) {
      for (const e of this.#model.events[rev] ?? []) {
        if (!inRange(e.row.key, wish.key, wish.end) || (e.row.deleted ? wish.noDelete : wish.noPut)) continue;
        out.push({ text: eventText(e, wish.prevKv), bare: eventText(e, false), rev });
      }
    }
    return out;
  }
}

interface Wanted {
  readonly text: string;
  /** Without the former state, which a compaction may have taken. */
  readonly bare: string;
  readonly rev: number;
}

function gotText(e: Event, withPrevious: boolean): string {
  const kv = e.kv;
  if (kv === undefined) return '?';
  const kind = e.type === 1 ? `D ${latin(kv.key)}@${kv.modRevision}` : `P ${kvText(kv)}`;
  return withPrevious && e.prevKv !== undefined ? `${kind} was ${kvText(e.prevKv)}` : kind;
}
