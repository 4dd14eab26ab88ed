/**
 * Known mistakes, to test the tester: each is put on through a seam that only a simulation has (a disk around the disk, a method of a running
 * member replaced), and each must be found. None of them can be switched on in a server.
 */
import type { DiskOp, DiskThread } from '../../src/base/disk.ts';
import type { RaftMachine, Ready, ReadState } from '../../src/raft/machine.ts';
import { StateType } from '../../src/raft/machine.ts';
import { RaftLog } from '../../src/raft/log.ts';
import { ProgressTracker } from '../../src/raft/tracker/tracker.ts';
import type { WatchHub, WatchStream } from '../../src/server/mvcc/types.ts';
import { LogBackend } from '../../src/server/storage/revlog/log-backend.ts';
import type { Bug } from './cluster.ts';
import { DiskAround } from './disk-around.ts';
import type { Fault, Knobs } from './knobs.ts';
import { Process } from './machine.ts';

/** Jobs of one thread are reported done when they are written, before they are synced. */
class EarlyDisk extends DiskAround {
  readonly #names: readonly string[];
  /** Synced later, or never. */
  readonly #later: boolean;

  constructor(inner: DiskAround['inner'], names: readonly string[], later = true) {
    super(inner);
    this.#names = names;
    this.#later = later;
  }

  override thread(name: string): DiskThread {
    const thread = super.thread(name);
    if (!this.#names.includes(name)) return thread;
    const later = this.#later;
    return {
      submit(ops, done) {
        const isSync = (op: DiskOp): boolean => op.kind === 'sync' || op.kind === 'syncDir';
        thread.submit(
          ops.filter((op) => !isSync(op)),
          done,
        );
        if (later) thread.submit(ops.filter(isSync), () => undefined);
      },
      get pending() {
        return thread.pending;
      },
      close: () => thread.close(),
    };
  }
}

/** Replaces a method of a class until the returned function is called. */
function replace<T extends object, K extends keyof T>(prototype: T, name: K, make: (before: T[K]) => T[K]): () => void {
  const before = prototype[name];
  prototype[name] = make(before);
  return () => {
    prototype[name] = before;
  };
}

/** Changes what each Ready says, on its way to the loop. */
function onReady(raft: RaftMachine, change: (ready: Ready) => Ready): void {
  const ready = raft.ready.bind(raft);
  raft.ready = () => change(ready());
}

/** Streams of a hub, changed as they are opened. */
function onStream(hub: WatchHub, change: (stream: WatchStream) => void): void {
  const open = hub.open.bind(hub);
  hub.open = (deliver) => {
    const stream = open(deliver);
    change(stream);
    return stream;
  };
}

const withLeases = (knobs: Knobs): Knobs => ({ ...knobs, leaseClients: Math.max(2, knobs.leaseClients) });
const withWatchers = (knobs: Knobs): Knobs => ({ ...knobs, watchers: Math.max(2, knobs.watchers) });
const flag = (knobs: Knobs, name: string, value: string | number): string[] => [
  ...knobs.flags.filter((f) => !f.startsWith(`--${name}=`)),
  `--${name}=${value}`,
];
const withSnapshots = (knobs: Knobs): Knobs => ({
  ...knobs,
  members: Math.max(3, knobs.members),
  thinkMs: 20,
  flags: flag({ ...knobs, flags: flag(knobs, 'snapshot-count', 10) }, 'snapshot-catchup-entries', 5),
  sizes: { ...knobs.sizes, logCutEntries: 1 },
});

export const bugs: readonly Bug[] = [
  {
    name: 'acknowledge-before-sync',
    rule: 'D-1: entries and votes are durable before they are acknowledged',
    disk: (disk) => new EarlyDisk(disk, ['wal']),
  },
  {
    name: 'apply-before-durable',
    rule: 'D-3: an entry is applied only when it is in the own WAL',
    built(_process, { raft }) {
      const done = raft.appendDone.bind(raft);
      const ready = raft.ready.bind(raft);
      raft.appendDone = () => undefined;
      raft.ready = () => {
        const r = ready();
        done(r.token);
        return r;
      };
    },
  },
  {
    name: 'vote-forgotten',
    rule: 'G-R-3: a vote outlives a crash',
    built(_process, { raft }) {
      onReady(raft, (r) => (r.hardState === undefined ? r : { ...r, hardState: { ...r.hardState, vote: 0n } }));
    },
  },
  {
    name: 'term-not-synced',
    rule: 'D-1: a term without entries is synced as well',
    built(_process, { raft }) {
      onReady(raft, (r) => (r.entries.length > 0 || r.snapshot !== undefined ? r : { ...r, mustSync: false }));
    },
  },
  {
    name: 'commit-of-an-older-term',
    rule: 'G-R-4: only entries of the own term are committed by counting',
    install(cluster) {
      let counting = false;
      const first = replace(ProgressTracker.prototype, 'committedIndex', (before) => {
        return function (this: ProgressTracker) {
          const index = before.call(this);
          counting = true;
          return index;
        };
      });
      const second = replace(RaftLog.prototype, 'termAt', (before) => {
        return function (this: RaftLog, index: number) {
          const owner = cluster.world.current?.process;
          if (counting && owner instanceof Process && owner.server !== undefined) {
            counting = false;
            if (before.call(this, index) !== undefined && index > this.committed) return owner.server.raft.term;
          }
          counting = false;
          return before.call(this, index);
        };
      });
      return () => {
        second();
        first();
      };
    },
  },
  {
    name: 'commit-without-a-majority',
    rule: 'G-R-2: what is committed is on a majority',
    install: () =>
      replace(ProgressTracker.prototype, 'committedIndex', () => {
        return function (this: ProgressTracker) {
          return Math.max(0, ...this.members.filter((m) => !m.isLearner).map((m) => m.match));
        };
      }),
  },
  {
    name: 'read-without-a-quorum',
    rule: 'G-KV-9: a leader asks a quorum before it answers a read',
    // The time in which two think that they lead is short: much is to happen in it.
    knobs: (knobs) => ({ ...knobs, clients: 6, thinkMs: 10, reads: 0.6, members: Math.max(3, knobs.members) }),
    // A leader alone, for as long as the others take to elect another: every now and then.
    faults: ({ durationMs, tickMs, electionTicks }) => {
      const faults: Fault[] = [];
      const ms = 3 * tickMs * electionTicks;
      for (let at = 600; at < durationMs; at += 2 * ms) faults.push({ at, kind: 'partition', target: -1, ms, dice: 0 });
      return faults;
    },
    built(_process, { raft }) {
      const states: ReadState[] = [];
      const readIndex = raft.readIndex.bind(raft);
      const hasReady = raft.hasReady.bind(raft);
      raft.readIndex = (context) => {
        if (raft.state !== StateType.Leader || raft.termAt(raft.commit) !== raft.term) return readIndex(context);
        states.push({ index: raft.commit, context });
        return 'ok';
      };
      raft.hasReady = () => states.length > 0 || hasReady();
      onReady(raft, (r) => (states.length === 0 ? r : { ...r, readStates: [...r.readStates, ...states.splice(0)] }));
    },
  },
  {
    name: 'read-before-applied',
    rule: 'G-KV-9: a linearizable read waits until its index is applied',
    built(process, { member }) {
      member.reads.read = (done) => process.clock.defer(() => done(undefined));
    },
  },
  {
    name: 'lease-revoked-by-a-deposed-leader',
    rule: 'G-L-5: a revoke is checked against the term in which the end was decided',
    knobs: withLeases,
    built(process, { member }) {
      // It keeps the ends it knew, and asks nobody.
      member.lessor.demote = () => undefined;
      process.clock.every(300, () => {
        for (const id of member.lessor.isPrimary ? member.lessor.due(500) : [])
          member.propose({ leaseRevoke: { ID: id } }, undefined, { complete: () => undefined });
      });
    },
  },
  {
    name: 'lease-shortened-by-a-new-leader',
    rule: 'G-L-4: a new leader grants every lease all of the time that it cannot know of',
    knobs: withLeases,
    built(_process, { member }) {
      const promote = member.lessor.promote.bind(member.lessor);
      member.lessor.promote = () => promote(-900);
    },
  },
  {
    name: 'lease-renewed-by-a-follower',
    rule: 'G-L-6: only the leader confirms a renewal',
    knobs: withLeases,
    built(_process, { member }) {
      const renew = member.renewLease.bind(member);
      member.renewLease = (id, done) => {
        const lease = member.lessor.lookup(id);
        if (member.isLeader || lease === undefined) renew(id, done);
        else done(undefined, lease.ttl);
      };
    },
  },
  {
    name: 'leases-lost-in-a-snapshot',
    rule: 'G-L-9: leases come along with a snapshot',
    knobs: (knobs) => withSnapshots(withLeases(knobs)),
    built(_process, { member }) {
      member.lessor.restore = () => undefined;
    },
  },
  {
    name: 'watch-skips-at-a-compaction',
    rule: 'G-W-5: a watch from a compacted revision is cancelled, it does not skip',
    knobs: (knobs) => ({ ...withWatchers(knobs), compactions: true }),
    built(_process, { member }) {
      onStream(member.kv.watchers, (stream) => {
        const watch = stream.watch.bind(stream);
        stream.watch = (options, id) => {
          const skips = options.startRev > 0 && options.startRev <= member.kv.compactRev;
          return watch(skips ? { ...options, startRev: member.kv.compactRev + 1 } : options, id);
        };
      });
    },
  },
  {
    name: 'watch-skips-at-a-snapshot',
    rule: 'G-W-3: a member that catches up by snapshot tells its watchers of all of it',
    knobs: (knobs) => ({ ...withSnapshots(knobs), watchers: 6, clients: 6, thinkMs: 10, reads: 0.2 }),
    built(_process, { member }) {
      const hub = member.kv.watchers as WatchHub & { restore(oldRev: number): void };
      const restore = hub.restore.bind(hub);
      hub.restore = () => restore(hub.rev);
    },
  },
  {
    name: 'progress-too-early',
    rule: 'G-W-6: a mark vouches for every event up to it',
    knobs: withWatchers,
    built(_process, { member }) {
      onStream(member.kv.watchers, (stream) => Object.defineProperty(stream, 'allSynced', { get: () => true }));
    },
  },
  {
    name: 'index-outside-the-transaction',
    rule: 'D-4: the consistent index moves in the transaction of its entry',
    built(process, { member }) {
      const { backend } = member;
      const set = backend.setConsistentIndex.bind(backend);
      backend.setConsistentIndex = (index, term) => void process.clock.after(3, () => set(index, term));
    },
  },
  {
    name: 'snapshot-on-a-volatile-store',
    rule: 'D-7: a snapshot stands on a durable store',
    knobs: withSnapshots,
    install: () => {
      const commit = replace(LogBackend.prototype, 'commit', (before) => {
        return function (this: LogBackend, done?: () => void) {
          if (done === undefined) before.call(this, () => undefined);
          else done();
        };
      });
      const durable = Object.getOwnPropertyDescriptor(LogBackend.prototype, 'durableIndex') as PropertyDescriptor;
      Object.defineProperty(LogBackend.prototype, 'durableIndex', {
        ...durable,
        get(this: LogBackend) {
          return this.consistentIndex;
        },
      });
      return () => {
        Object.defineProperty(LogBackend.prototype, 'durableIndex', durable);
        commit();
      };
    },
  },
  {
    name: 'snapshot-acknowledged-before-sync',
    rule: 'D-8: a received database is durable before raft hears of it',
    knobs: withSnapshots,
    disk: (disk) => new EarlyDisk(disk, ['snapshot', 'snap'], false),
  },
  {
    name: 'store-committed-before-sync',
    rule: 'D-6: what the WAL has let go of is in the store',
    knobs: (knobs) => ({ ...withSnapshots(knobs), disk: { latencyMinMs: 5, latencyMeanMs: 50 } }),
    disk: (disk) => new EarlyDisk(disk, ['revlog']),
  },
  {
    name: 'proposed-twice',
    rule: 'G-KV-16: a proposal takes effect once',
    built(process, { raft }) {
      const propose = raft.propose.bind(raft);
      raft.propose = (data) => {
        const result = propose(data);
        if (result === 'ok' && raft.state !== StateType.Leader) process.clock.after(2000, () => propose(data));
        return result;
      };
    },
  },
];

export function bugNamed(name: string): Bug {
  const bug = bugs.find((b) => b.name === name);
  if (bug === undefined) throw new Error(`no bug ${name}; there are ${bugs.map((b) => b.name).join(', ')}`);
  return bug;
}
