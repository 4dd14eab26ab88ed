/** Clients: one request at a time each, over links of their own, checked against the model the moment the answer comes. */
import type { PutRequest, RangeRequest, RequestOp, TxnRequest } from '../../src/api/gen/etcdserverpb.ts';
import { Compare_CompareResult, Compare_CompareTarget } from '../../src/api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../../src/api/gen/methods.ts';
import type { Init } from '../../src/api/proto-io.ts';
import { Code, RpcError, type Status } from '../../src/api/status.ts';
import type { SeededRandom } from '../../src/base/random.ts';
import type { ClusterMember } from '../../src/server/membership/cluster.ts';
import type { ClientStream } from '../../src/wire/channel.ts';
import type { Cluster } from './cluster.ts';
import type { Machine, Process } from './machine.ts';
import { latin, type Model, textOf } from './model.ts';
import type { World } from './world.ts';

/** What a client waits for an answer. */
const requestTimeoutMs = 8000;
/** Rest after nobody was there. */
const refusedRestMs = 200;
/** Numbers of clients on the network start here. */
const clientBase = 32;

export type Answer<T> = { readonly ok: T } | { readonly error: RpcError | undefined };

/** What has been answered so far: what comes later must not be older. */
export class History {
  /** The highest revision of an answer that some client has. */
  floor = 1;
  /** The same for compactions. */
  compactFloor = 0;
  readonly counts = { puts: 0, txns: 0, deletes: 0, reads: 0, stale: 0, compactions: 0, unknown: 0, refused: 0, checked: 0 };
}

export const bytes = (s: string): Uint8Array => Buffer.from(s, 'latin1');

/** A caller with links of its own to each machine. */
export class Caller {
  readonly cluster: Cluster;
  readonly world: World;
  readonly number: number;
  readonly random: SeededRandom;

  constructor(cluster: Cluster, number: number) {
    this.cluster = cluster;
    this.world = cluster.world;
    this.number = clientBase + number;
    this.random = this.world.random(`client ${number}`);
  }

  /** `done` runs once; without an error when there was no answer, or the connection broke. */
  call<Req, Res>(
    machine: Machine,
    method: MethodDef<Req, Res>,
    request: Init<Req>,
    done: (answer: Answer<Res>) => void,
    timeoutMs = requestTimeoutMs,
  ): void {
    const { network } = this.cluster;
    let over = false;
    const finish = (answer: Answer<Res>): void => {
      if (over) return;
      over = true;
      timer.cancel();
      done(answer);
    };
    const timer = this.world.after(timeoutMs, () => finish({ error: undefined }));
    network.send(this.number, machine.number, true, false, () => {
      const process = machine.process;
      const channel = process?.channel;
      if (process === undefined || channel === undefined) {
        // Nobody listens: nothing has happened.
        network.send(machine.number, this.number, true, false, () =>
          finish({ error: new RpcError({ code: Code.Unavailable, message: 'refused' }, { unsent: true }) }),
        );
        return;
      }
      const back = (answer: Answer<Res>): void => {
        process.onDeath.delete(broken);
        network.send(machine.number, this.number, true, false, () => finish(answer));
      };
      const broken = (): void => back({ error: undefined });
      process.onDeath.add(broken);
      this.world.at(this.world.now, process, () => {
        channel.unary(method, request, { timeoutMs }).then(
          (response) => {
            if (process.alive) back({ ok: response });
          },
          (error: unknown) => {
            if (process.alive) back({ error: error instanceof RpcError ? error : undefined });
            if (!(error instanceof RpcError)) this.world.fail(`a call failed: ${String(error)}`);
          },
        );
      });
    });
  }

  /** Whom a machine knows as members, by its peer port, which answers before the machine serves clients and without a quorum; undefined: no answer. */
  peerMembers(machine: Machine, done: (members: readonly ClusterMember[] | undefined) => void): void {
    const { network } = this.cluster;
    let over = false;
    const finish = (members: readonly ClusterMember[] | undefined): void => {
      if (over) return;
      over = true;
      timer.cancel();
      done(members);
    };
    const timer = this.world.after(requestTimeoutMs, () => finish(undefined));
    network.send(this.number, machine.number, true, false, () => {
      const { process } = machine;
      const server = process?.server;
      const back = (members: readonly ClusterMember[] | undefined): void =>
        network.send(machine.number, this.number, true, false, () => finish(members));
      if (process === undefined || server === undefined) back(undefined);
      else this.world.at(this.world.now, process, () => back(server.member.cluster.members().map((m) => ({ ...m }))));
    });
  }

  /** A stream: what either side sends arrives in order, until one of them ends it or the process dies. */
  stream<Req, Res>(
    machine: Machine,
    method: MethodDef<Req, Res>,
    onMessage: (m: Res) => void,
    onEnd: (status: Status | undefined) => void,
  ): CallerStream<Req> {
    const { network } = this.cluster;
    let over = false;
    let stream: ClientStream<Req, Res> | undefined;
    let life: Process | undefined;
    const finish = (status: Status | undefined): void => {
      if (over) return;
      over = true;
      onEnd(status);
    };
    const there = (fn: (s: ClientStream<Req, Res>) => void): void =>
      network.send(this.number, machine.number, true, false, () => {
        const [s, process] = [stream, life];
        if (s !== undefined && process?.alive === true) this.world.at(this.world.now, process, () => fn(s));
      });
    network.send(this.number, machine.number, true, false, () => {
      const process = machine.process;
      const channel = process?.channel;
      if (process === undefined || channel === undefined) {
        network.send(machine.number, this.number, true, false, () => finish(undefined));
        return;
      }
      life = process;
      const broken = (): void => network.send(machine.number, this.number, true, false, () => finish(undefined));
      process.onDeath.add(broken);
      const opened = channel.stream(method);
      stream = opened;
      opened.onMessage = (m) => {
        if (process.alive)
          network.send(machine.number, this.number, true, false, () => {
            if (!over) onMessage(m);
          });
      };
      opened.onEnd = (status) => {
        process.onDeath.delete(broken);
        if (process.alive) network.send(machine.number, this.number, true, false, () => finish(status));
      };
    });
    return {
      send: (request) => there((s) => s.send(request)),
      pause: (paused) => {
        this.world.trace?.(`client ${this.number} ${paused ? 'stops reading' : 'reads on'}`);
        there((s) => (paused ? s.pause() : s.resume()));
      },
      cancel: () => {
        over = true;
        there((s) => s.cancel());
      },
    };
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.u32() % list.length] as T;
  }

  /** Mostly one that serves, as a client finds it out; now and then whichever. */
  machine(): Machine | undefined {
    const live = this.cluster.live;
    const serving = this.random.u32() % 5 === 0 ? [] : live.filter((m) => m.process?.channel !== undefined);
    return serving.length > 0 ? this.pick(serving) : live.length === 0 ? undefined : this.pick(live);
  }
}

export interface CallerStream<Req> {
  send(request: Init<Req>): void;
  pause(paused: boolean): void;
  /** No more comes of it. */
  cancel(): void;
}

/** Puts, gets, deletes, txns, compactions. */
export class KvClient {
  readonly #caller: Caller;
  readonly #history: History;
  readonly #model: Model;
  #stopped = false;
  #serial = 0;
  /** Nobody was there. */
  #refused = false;
  busy = false;
  /** Revision of the last stale read, by life of a member. */
  readonly #staleFloor = new Map<object, number>();

  constructor(caller: Caller, history: History) {
    this.#caller = caller;
    this.#history = history;
    this.#model = caller.cluster.oracle.model;
  }

  start(): void {
    this.#rest();
  }

  stop(): void {
    this.#stopped = true;
  }

  #rest(): void {
    this.busy = false;
    if (this.#stopped) return;
    const { world, random, cluster } = this.#caller;
    const mean = this.#refused ? refusedRestMs : cluster.knobs.thinkMs;
    this.#refused = false;
    world.after(-Math.log(1 - random.float()) * mean, () => this.#next());
  }

  #key(): string {
    const { random, cluster } = this.#caller;
    return `k${String(random.u32() % cluster.knobs.keys).padStart(2, '0')}`;
  }

  #range(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const { random } = this.#caller;
    const dice = random.u32() % 4;
    if (dice < 2) return { key: bytes(this.#key()), rangeEnd: bytes('') };
    if (dice === 2) return { key: bytes('k'), rangeEnd: bytes('l') };
    const [a, b] = [this.#key(), this.#key()].sort() as [string, string];
    return { key: bytes(a), rangeEnd: bytes(`${b}\0`) };
  }

  #value(): string {
    const { random, cluster, number } = this.#caller;
    const tag = `${number}.${++this.#serial}`;
    const extra = random.u32() % cluster.knobs.valueBytesMax;
    return extra < 16 ? tag : tag + 'x'.repeat(extra - 16);
  }

  #put(key: string): Init<PutRequest> {
    const { random } = this.#caller;
    const leases = [...this.#model.leases.keys()];
    const lease = leases.length > 0 && random.float() < 0.3 ? this.#caller.pick(leases) : 0n;
    return { key: bytes(key), value: bytes(this.#value()), lease, prevKv: random.float() < 0.5 };
  }

  #next(): void {
    const machine = this.#caller.machine();
    if (this.#stopped || machine === undefined) return this.#rest();
    this.busy = true;
    const { random, cluster } = this.#caller;
    const { knobs } = cluster;
    if (random.float() < knobs.reads) this.#read(machine);
    else {
      const dice = random.u32() % 100;
      if (dice < 55) this.#doPut(machine);
      else if (dice < 85) this.#doTxn(machine);
      else if (dice < 95 || !knobs.compactions) this.#doDelete(machine);
      else this.#doCompact(machine);
    }
  }

  /** A write with an answer: it made a revision that nobody had before, or changed nothing. */
  #wrote(what: string, text: string, rev: number, floor: number, same: (effect: { request: unknown }) => boolean): void {
    const model = this.#model;
    const { world } = this.#caller;
    this.#history.counts.checked++;
    world.mix(rev);
    const maker = model.makers[rev];
    if (rev > model.rev) return world.fail(`${what} was answered with revision ${rev}, nobody is past ${model.rev}`);
    if (rev <= floor) return world.fail(`${what} was answered with revision ${rev}, but ${floor} had been answered before it was asked`);
    if (maker === undefined || !same(maker)) return world.fail(`${what} was answered with revision ${rev}, which another request made`);
    if (maker.text !== text) world.fail(`${what} at revision ${rev} was answered\n  ${text}\nand should be\n  ${maker.text}`);
    this.#history.floor = Math.max(this.#history.floor, rev);
  }

  /** What did nothing, or only read, at `rev`. */
  #saw(what: string, text: string, wanted: string | undefined, rev: number, floor: number): void {
    const { world } = this.#caller;
    this.#history.counts.checked++;
    world.mix(rev);
    if (rev > this.#model.rev) return world.fail(`${what} was answered with revision ${rev}, nobody is past ${this.#model.rev}`);
    if (rev < floor) return world.fail(`${what} was answered with revision ${rev}, but ${floor} had been answered before it was asked`);
    if (text !== wanted) world.fail(`${what} at revision ${rev} was answered\n  ${text}\nand should be\n  ${wanted ?? '(a write)'}`);
    this.#history.floor = Math.max(this.#history.floor, rev);
  }

  #failed(error: RpcError | undefined): void {
    this.#refused = error?.unsent === true;
    const code = error?.status.code;
    if (code === undefined || code === Code.Unavailable || code === Code.DeadlineExceeded) this.#history.counts.unknown++;
    else this.#history.counts.refused++;
    // etcd has no better code for a proposal that raft did not take.
    const dropped = code === Code.Unknown && error?.message.includes('raft proposal dropped') === true;
    if (code === Code.Internal || code === Code.DataLoss || (code === Code.Unknown && !dropped))
      this.#caller.world.fail(`a request failed: ${error?.message ?? ''}`);
  }

  #doPut(machine: Machine): void {
    const key = this.#key();
    const request = this.#put(key);
    const value = latin(request.value as Uint8Array);
    const { floor } = this.#history;
    this.#history.counts.puts++;
    this.#caller.call(machine, KV.put, request, (answer) => {
      if ('ok' in answer) {
        this.#wrote(`put ${key}`, textOf.put(answer.ok), answer.ok.header?.revision ?? 0, floor, (e) => {
          const { put } = e.request as { put: PutRequest | undefined };
          return put !== undefined && latin(put.value) === value;
        });
      } else this.#failed(answer.error);
      this.#rest();
    });
  }

  #doDelete(machine: Machine): void {
    const range = this.#range();
    const request = { ...range, prevKv: this.#caller.random.float() < 0.5 };
    const { floor } = this.#history;
    this.#history.counts.deletes++;
    this.#caller.call(machine, KV.deleteRange, request, (answer) => {
      if ('ok' in answer) {
        const rev = answer.ok.header?.revision ?? 0;
        const text = textOf.delete(answer.ok);
        if (answer.ok.deleted > 0)
          this.#wrote(`delete ${latin(range.key)}`, text, rev, floor, (e) => 'deleteRange' in (e.request as object));
        else {
          const there = this.#model.readOnlyTxn({ compare: [], success: [op({ requestDeleteRange: { ...request } })], failure: [] }, rev);
          this.#saw(`empty delete ${latin(range.key)}`, `txn true [${text}]`, there, rev, floor);
        }
      } else this.#failed(answer.error);
      this.#rest();
    });
  }

  #doTxn(machine: Machine): void {
    const { random } = this.#caller;
    const keys = new Set<string>();
    const used = (): string | undefined => {
      const key = this.#key();
      if (keys.has(key)) return undefined;
      keys.add(key);
      return key;
    };
    const ops = (): RequestOp[] => {
      const list: RequestOp[] = [];
      for (let n = random.u32() % 4; n >= 0; n--) {
        const dice = random.u32() % 4;
        const key = used();
        if (key === undefined || dice === 0)
          list.push(op({ requestRange: fullRange({ ...this.#range(), countOnly: random.u32() % 4 === 0 }) }));
        else if (dice === 1) list.push(op({ requestDeleteRange: { key: bytes(key), rangeEnd: bytes(''), prevKv: true } }));
        else
          list.push(
            op({
              requestPut: {
                key: bytes(key),
                value: bytes(this.#value()),
                lease: 0n,
                prevKv: random.u32() % 2 === 0,
                ignoreLease: false,
                ignoreValue: false,
              },
            }),
          );
      }
      return list;
    };
    const compare = random.float() < 0.3 ? [] : [this.#compare()];
    const success = ops();
    keys.clear();
    const request: TxnRequest = { compare, success, failure: random.u32() % 2 === 0 ? [] : ops() };
    if (random.u32() % 8 === 0)
      request.failure.push(
        op({ requestTxn: { compare: [this.#compare()], success: [op({ requestRange: fullRange(this.#range()) })], failure: [] } }),
      );
    const { floor } = this.#history;
    const tag = txnTag(request);
    this.#history.counts.txns++;
    this.#caller.call(machine, KV.txn, request, (answer) => {
      if ('ok' in answer) {
        const rev = answer.ok.header?.revision ?? 0;
        const text = textOf.txn(answer.ok);
        const maker = this.#model.makers[rev]?.request.txn;
        if (maker !== undefined && txnTag(maker) === tag && wroteSomething(text)) this.#wrote('txn', text, rev, floor, () => true);
        else this.#saw('txn', text, this.#model.readOnlyTxn(request, rev), rev, floor);
      } else this.#failed(answer.error);
      this.#rest();
    });
  }

  #compare(): TxnRequest['compare'][number] {
    const { random } = this.#caller;
    const base = {
      key: bytes(this.#key()),
      rangeEnd: bytes(random.u32() % 6 === 0 ? 'l' : ''),
      result: random.u32() % 4,
      version: undefined,
      createRevision: undefined,
      modRevision: undefined,
      value: undefined,
      lease: undefined,
    };
    const near = Math.max(0, this.#model.rev - (random.u32() % 10));
    switch (random.u32() % 4) {
      case 0:
        return { ...base, target: Compare_CompareTarget.VERSION, version: random.u32() % 3 };
      case 1:
        return { ...base, target: Compare_CompareTarget.CREATE, createRevision: random.u32() % 2 === 0 ? 0 : near };
      case 2:
        return { ...base, target: Compare_CompareTarget.MOD, modRevision: near };
      default:
        return { ...base, target: Compare_CompareTarget.VALUE, result: Compare_CompareResult.NOT_EQUAL, value: bytes('nothing') };
    }
  }

  #read(machine: Machine): void {
    const { random } = this.#caller;
    const serializable = random.float() < 0.25;
    const past = random.float() < 0.3;
    const request = fullRange({
      ...this.#range(),
      serializable,
      limit: random.u32() % 4 === 0 ? 1 + (random.u32() % 3) : 0,
      countOnly: random.u32() % 8 === 0,
      keysOnly: random.u32() % 8 === 0,
      revision: past ? Math.max(1, this.#model.rev + 2 - (random.u32() % 40)) : 0,
    });
    const { floor, compactFloor } = this.#history;
    const life = machine.process;
    this.#history.counts[serializable ? 'stale' : 'reads']++;
    this.#caller.call(machine, KV.range, request, (answer) => {
      const { world } = this.#caller;
      const what = `${serializable ? 'serializable ' : ''}read of ${latin(request.key)} at ${request.revision}`;
      if ('ok' in answer) {
        const rev = answer.ok.header?.revision ?? 0;
        const at = request.revision === 0 ? rev : request.revision;
        if (at > rev) world.fail(`${what} was answered at revision ${rev}`);
        if (request.revision !== 0 && request.revision < compactFloor && !serializable)
          world.fail(`${what} was answered after a compaction to ${compactFloor}`);
        const text = textOf.range(answer.ok);
        if (!serializable) this.#saw(what, text, this.#model.rangeText(request, at), rev, floor);
        else {
          const before = life === undefined ? 0 : (this.#staleFloor.get(life) ?? 0);
          if (rev < before && machine.process === life) world.fail(`${what} went back from revision ${before} to ${rev}`);
          if (life !== undefined && machine.process === life) this.#staleFloor.set(life, rev);
          if (text !== this.#model.rangeText(request, at))
            world.fail(`${what} was answered\n  ${text}\nand should be\n  ${this.#model.rangeText(request, at)}`);
        }
      } else {
        const message = answer.error?.message ?? '';
        if (message.includes('future revision')) {
          if (!serializable && request.revision <= floor)
            world.fail(`${what} was a future revision, but ${floor} had been answered before`);
        } else if (message.includes('compacted')) {
          if (request.revision >= this.#model.compactRev)
            world.fail(`${what} was compacted, but the compaction went to ${this.#model.compactRev}`);
        } else this.#failed(answer.error);
      }
      this.#rest();
    });
  }

  #doCompact(machine: Machine): void {
    const { random } = this.#caller;
    const revision = Math.max(1, this.#model.rev - (random.u32() % 20));
    const { compactFloor } = this.#history;
    this.#history.counts.compactions++;
    this.#caller.call(machine, KV.compact, { revision, physical: random.u32() % 4 === 0 }, (answer) => {
      if ('ok' in answer) {
        if (revision <= compactFloor) this.#caller.world.fail(`a compaction to ${revision} was answered after one to ${compactFloor}`);
        if (this.#model.compactRev < revision) this.#caller.world.fail(`a compaction to ${revision} was answered and has not happened`);
        this.#history.compactFloor = Math.max(this.#history.compactFloor, revision);
      } else this.#failed(answer.error);
      this.#rest();
    });
  }
}

function op(o: Partial<RequestOp>): RequestOp {
  return { requestRange: undefined, requestPut: undefined, requestDeleteRange: undefined, requestTxn: undefined, ...o };
}

export function fullRange(r: Partial<RangeRequest>): RangeRequest {
  return {
    key: bytes(''),
    rangeEnd: bytes(''),
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...r,
  };
}

/** Values are unique, so a txn that puts anything is known by them. */
function txnTag(txn: TxnRequest): string {
  return [...txn.success, ...txn.failure]
    .map((o) =>
      o.requestPut !== undefined
        ? latin(o.requestPut.value)
        : o.requestDeleteRange !== undefined
          ? `-${latin(o.requestDeleteRange.key)}`
          : '',
    )
    .join(',');
}

function wroteSomething(text: string): boolean {
  return /put |delete [1-9]/.test(text);
}
