// Random key-value, transaction, lease, watch, compaction and maintenance calls, one after the other, to both servers.
import { Generator } from './generate.mjs';

/** Time after which a watch that starts in the past has caught up, on both servers. */
const catchUpMs = 400;

export async function dataRun(pair, rng, steps) {
  const g = new Generator(rng);
  const watches = new Watches(pair);
  let behind = false;
  const both = async (name, message, options) => {
    const answer = await pair.unary(name, message, options);
    const revision = Number(answer.reply?.header?.revision ?? 0);
    if (revision > g.revision) g.revision = revision;
    return answer;
  };
  const kinds = [
    [10, 'put'],
    [10, 'range'],
    [2, 'stream'],
    [3, 'delete'],
    [10, 'txn'],
    [0.4, 'compact'],
    [1, 'grant'],
    [0.4, 'revoke'],
    [0.6, 'timetolive'],
    [0.2, 'leases'],
    [0.3, 'keepalive'],
    [1.2, 'watch'],
    [0.5, 'cancel'],
    [0.2, 'progress'],
    [0.15, 'newstream'],
    [0.4, 'hashkv'],
    [0.1, 'status'],
    [0.05, 'alarm'],
    [0.03, 'defrag'],
    [0.1, 'admin'],
  ];
  for (let i = 0; i < steps; i++) {
    switch (rng.weighted(kinds)) {
      case 'put':
        await both('KV/Put', g.putRequest());
        break;
      case 'range':
        await both('KV/Range', g.rangeRequest());
        break;
      case 'stream':
        await pair.collect('KV/RangeStream', g.rangeRequest());
        break;
      case 'delete':
        await both('KV/DeleteRange', g.deleteRequest());
        break;
      case 'txn':
        await both('KV/Txn', g.txnRequest());
        break;
      case 'compact': {
        // A watch that has not caught up may or may not be cancelled.
        if (behind) await watches.settle(catchUpMs);
        behind = false;
        const revision = rng.chance(0.2) ? g.someRevision() : g.compacted + rng.int(Math.max(1, g.revision - g.compacted));
        const { reply } = await both('KV/Compact', { revision, physical: rng.chance(0.5) });
        if (reply !== undefined) g.compacted = Number(revision);
        break;
      }
      case 'grant': {
        const request = g.grantRequest();
        const { reply } = await both('Lease/LeaseGrant', request);
        if (reply !== undefined && !g.leases.includes(request.ID)) g.leases.push(request.ID);
        break;
      }
      case 'revoke': {
        const ID = g.lease();
        await both('Lease/LeaseRevoke', { ID });
        g.leases = g.leases.filter((l) => l !== ID);
        break;
      }
      case 'timetolive':
        await both('Lease/LeaseTimeToLive', { ID: g.lease(), keys: rng.chance(0.6) }, { sort: 'keys' });
        break;
      case 'leases':
        await both('Lease/LeaseLeases', {});
        break;
      case 'keepalive':
        // The renewed lease is the last to expire in neither list's known order: it gets the same place on both.
        await pair.firstOf('Lease/LeaseKeepAlive', { ID: g.lease() });
        break;
      case 'watch': {
        const request = g.watchCreate();
        if (Number(request.start_revision ?? 0) > 0) behind = true;
        await watches.create(rng, request);
        break;
      }
      case 'cancel':
        await watches.cancel(rng);
        break;
      case 'progress':
        if (behind) await watches.settle(catchUpMs);
        behind = false;
        await watches.progress(rng);
        break;
      case 'newstream':
        if (behind) await watches.settle(catchUpMs);
        behind = false;
        await watches.replace(rng);
        break;
      case 'hashkv':
        // A compaction that still runs gives another hash.
        await both('Maintenance/HashKV', { revision: rng.chance(0.5) ? 0 : g.someRevision() });
        break;
      case 'status':
        await pair.unary('Maintenance/Status', {}, { drop: statusOwn });
        break;
      case 'alarm':
        await alarms(both, rng, g);
        break;
      case 'defrag':
        await both('Maintenance/Defragment', {});
        break;
      case 'admin':
        await admin(pair, rng);
        break;
    }
    if (i % 200 === 199) await watches.settle(0);
  }
  await watches.settle(catchUpMs);
  watches.close();
}

/** Fields of a status that depend on how a server stores things. */
const statusOwn = ['dbSize', 'dbSizeInUse', 'raftIndex', 'raftAppliedIndex', 'header'];

async function alarms(both, rng, g) {
  const alarm = rng.pick([1, 1, 2]);
  await both('Maintenance/Alarm', { action: 1, alarm });
  await both('Maintenance/Alarm', { action: 0, alarm: rng.int(3) });
  for (let i = 0; i < 8; i++) {
    await both(
      ...rng.pick([
        ['KV/Put', g.putRequest()],
        ['KV/Txn', g.txnRequest()],
        ['KV/Range', g.rangeRequest()],
        ['KV/DeleteRange', g.deleteRequest()],
      ]),
    );
  }
  const grant = g.grantRequest();
  if ((await both('Lease/LeaseGrant', grant)).reply !== undefined && !g.leases.includes(grant.ID)) g.leases.push(grant.ID);
  for (const kind of [1, 2]) await both('Maintenance/Alarm', { action: 2, alarm: kind });
  await both('Maintenance/Alarm', { action: 2, alarm: 1 });
}

async function admin(pair, rng) {
  await pair.unary(
    ...rng.pick([
      [
        'Maintenance/Downgrade',
        { action: 0, version: rng.pick(['3.6.0', '3.6', '3.5', '3.7.0', '3.8', '', 'x', '3', '3.6.0-alpha', '4.0.0']) },
      ],
      ['Maintenance/Downgrade', { action: 2 }],
      ['Maintenance/MoveLeader', { targetID: rng.pick([0, 1, '12345']) }],
      ['Cluster/MemberList', { linearizable: rng.chance(0.5) }],
      [
        'Cluster/MemberAdd',
        { peerURLs: rng.pick([[], [''], ['x'], ['http://127.0.0.1'], ['ftp://127.0.0.1:1'], ['http://127.0.0.1:1/a']]) },
      ],
      ['Cluster/MemberRemove', { ID: rng.pick([0, 1, '12345']) }],
      ['Cluster/MemberUpdate', { ID: rng.pick([0, 1]), peerURLs: rng.pick([[], ['http://127.0.0.1:7'], ['y']]) }],
      ['Cluster/MemberPromote', { ID: rng.pick([0, 1]) }],
    ]),
  );
}

/** The watch streams of both servers; a stream may be replaced by a new one. */
class Watches {
  #pair;
  #streams = [];

  constructor(pair) {
    this.#pair = pair;
    for (let i = 0; i < 3; i++) this.#streams.push(this.#open());
  }

  #open() {
    return { live: 0, sides: this.#pair.targets.map((t) => t.stream('Watch/Watch')) };
  }

  async #answered(stream, request, count) {
    const before = stream.sides.map((s) => s.messages.filter((m) => m.created || m.canceled).length);
    for (const s of stream.sides) s.send(request);
    await Promise.all(
      stream.sides.map((s, i) => s.until(() => s.messages.filter((m) => m.created || m.canceled).length >= before[i] + count, 5000)),
    );
  }

  async create(rng, create_request) {
    const stream = rng.pick(this.#streams);
    this.#pair.note('Watch/Watch', create_request);
    await this.#answered(stream, { create_request }, 1);
    stream.live++;
  }

  async cancel(rng) {
    const stream = rng.pick(this.#streams);
    const watch_id = rng.int(stream.live + 2);
    this.#pair.note('Watch/Watch', { cancel: watch_id });
    const known = (s) => {
      const made = s.messages.filter((m) => m.created && !m.canceled && Number(m.watch_id ?? 0) === watch_id).length;
      return (
        made >
        s.messages.filter((m) => m.canceled && !m.created && m.compact_revision === undefined && Number(m.watch_id ?? 0) === watch_id)
          .length
      );
    };
    if (stream.sides.every(known)) await this.#answered(stream, { cancel_request: { watch_id } }, 1);
    else for (const s of stream.sides) s.send({ cancel_request: { watch_id } });
  }

  async progress(rng) {
    const stream = rng.pick(this.#streams);
    this.#pair.note('Watch/Watch', { progress: true });
    for (const s of stream.sides) s.send({ progress_request: {} });
    const count = (s) => s.messages.filter(isProgress).length;
    const [a, b] = stream.sides;
    const before = stream.sides.map(count);
    await Promise.all(stream.sides.map((s, i) => s.until(() => count(s) > before[i], 300)));
    await b.until(() => count(b) >= count(a), 5000);
  }

  async replace(rng) {
    const i = rng.int(this.#streams.length);
    await this.#compare(this.#streams[i]);
    for (const s of this.#streams[i].sides) s.cancel();
    this.#streams[i] = this.#open();
  }

  /** Waits until both sides have seen the same, at least `ms`. */
  async settle(ms) {
    if (ms > 0) await new Promise((r) => setTimeout(r, ms));
    for (const s of this.#streams) await this.#compare(s);
  }

  async #compare(stream) {
    const end = Date.now() + 10_000;
    for (;;) {
      const [a, b] = stream.sides.map(perWatch);
      const d = this.#pair.differ(a, b);
      if (d === undefined) return;
      if (Date.now() > end) {
        this.#pair.report('Watch/Watch', { stream: this.#streams.indexOf(stream) }, d);
        return;
      }
      await new Promise((r) => setTimeout(r, 20));
    }
  }

  close() {
    for (const s of this.#streams) for (const side of s.sides) side.cancel();
  }
}

const isProgress = (m) => !m.created && !m.canceled && (m.events ?? []).length === 0;

/** By watch id: what was said of it, and its events in order. How events fall into messages depends on moments. */
function perWatch(side) {
  const byId = {};
  for (const m of side.messages) {
    const id = String(m.watch_id ?? 0);
    const list = (byId[id] ??= []);
    if (m.created || m.canceled || isProgress(m)) {
      const { events: _, ...rest } = m;
      list.push(isProgress(m) ? { progress: rest } : rest);
    }
    for (const e of m.events ?? []) list.push(e);
  }
  if (side.end !== undefined) byId.end = side.end;
  return byId;
}
