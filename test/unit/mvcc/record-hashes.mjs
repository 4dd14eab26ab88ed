// Records what a real etcd answers to HashKV and Hash after seeded writes and compactions.
//
//   node test/unit/mvcc/record-hashes.mjs PATH/TO/etcd > test/data/mvcc/hashes.json
//
// Operations and answers go into one list a scenario; hashes.test.ts replays them. Keys and values are latin1 text.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const etcd = process.argv[2];
if (etcd === undefined) throw new Error('usage: record-hashes.mjs PATH/TO/etcd');

function random(seed) {
  let s = seed >>> 0;
  return (n) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 4294967296) * n);
  };
}

async function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

class Member {
  async start(dir, ports) {
    this.dir = dir;
    this.ports = ports;
    this.url = `http://127.0.0.1:${ports[0]}`;
    const peer = `http://127.0.0.1:${ports[1]}`;
    this.process = spawn(
      etcd,
      ['--name', 'default', '--data-dir', dir, '--unsafe-no-fsync', '--log-level', 'error']
        .concat(['--listen-client-urls', this.url, '--advertise-client-urls', this.url])
        .concat(['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`])
        .concat(['--compaction-sleep-interval', '1ms']),
      { stdio: 'ignore' },
    );
    for (let i = 0; i < 200; i++) {
      try {
        const status = await this.call('maintenance/status', {});
        const members = await this.call('cluster/member/list', {});
        if (status.leader !== undefined && members.members[0].clientURLs !== undefined) {
          // The cluster version is the last thing a new member writes on its own.
          const version = await (await fetch(`${this.url}/version`)).json();
          if (version.etcdcluster.startsWith('3.7')) return;
        }
      } catch {
        // Not up yet.
      }
      await new Promise((r) => setTimeout(r, 50));
    }
    throw new Error('etcd does not start');
  }

  async stop() {
    const gone = new Promise((r) => this.process.once('exit', r));
    this.process.kill('SIGTERM');
    await gone;
  }

  async call(path, body) {
    const reply = await fetch(`${this.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
    return reply.json();
  }
}

const b64 = (text) => Buffer.from(text, 'latin1').toString('base64');

async function scenario(name, seed, build) {
  const dir = mkdtempSync(join(tmpdir(), 'hashes-'));
  const member = new Member();
  const ports = [await freePort(), await freePort()];
  await member.start(join(dir, 'data'), ports);
  const steps = [];
  const rnd = random(seed);
  let rev = 1;
  let compacted = -1;
  const at = (reply) => {
    rev = Number(reply.header.revision);
    return rev;
  };
  const op = {
    rnd,
    rev: () => rev,
    compacted: () => compacted,
    async put(key, value, lease = 0) {
      at(await member.call('kv/put', { key: b64(key), value: b64(value), lease }));
      steps.push({ put: [key, value, lease] });
    },
    async delete(key, end) {
      at(await member.call('kv/deleterange', { key: b64(key), range_end: end === undefined ? undefined : b64(end) }));
      steps.push({ delete: end === undefined ? [key] : [key, end] });
    },
    async txn(ops) {
      const success = ops.map((o) =>
        o.put !== undefined
          ? { request_put: { key: b64(o.put[0]), value: b64(o.put[1]), lease: o.put[2] } }
          : { request_delete_range: { key: b64(o.delete[0]), range_end: o.delete[1] === undefined ? undefined : b64(o.delete[1]) } },
      );
      const reply = await member.call('kv/txn', { success });
      if (reply.succeeded !== true) throw new Error(JSON.stringify(reply));
      at(reply);
      steps.push({ txn: ops });
    },
    async grant(id, ttl) {
      await member.call('lease/grant', { ID: id, TTL: ttl });
    },
    async compact(to) {
      const reply = await member.call('kv/compaction', { revision: to, physical: true });
      if (reply.code !== undefined) throw new Error(JSON.stringify(reply));
      compacted = to;
      steps.push({ compact: to });
    },
    async hashKV(revision) {
      const reply = await member.call('maintenance/hashkv', { revision });
      const answer =
        reply.code === undefined
          ? [reply.hash, Number(reply.compact_revision), Number(reply.hash_revision ?? 0)]
          : reply.message.includes('future')
            ? 'future'
            : 'compacted';
      steps.push({ hashKV: revision, is: answer });
    },
    async restart() {
      await member.stop();
      await member.start(member.dir, member.ports);
      steps.push({ restart: true });
    },
    /** The other buckets of a young member, and the hash over all. */
    async hash() {
      const { members } = await member.call('cluster/member/list', {});
      const m = members[0];
      const reply = await member.call('maintenance/hash', {});
      steps.push({ hash: reply.hash, member: { id: m.ID, name: m.name, peerURLs: m.peerURLs, clientURLs: m.clientURLs } });
    },
  };
  try {
    await build(op);
  } finally {
    await member.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  process.stderr.write(`${name}: ${steps.length} steps\n`);
  return { name, steps };
}

const scenarios = [
  await scenario('tombstones at and around the compacted revision', 1, async (op) => {
    await op.hashKV(0);
    await op.hashKV(-1);
    await op.put('a', '1');
    await op.put('b', '1');
    await op.delete('a');
    await op.hashKV(0);
    await op.compact(4);
    for (const r of [0, 3, 4, 5]) await op.hashKV(r);
    await op.put('c', '1');
    await op.hashKV(0);
    await op.compact(5);
    for (const r of [0, 4, 5]) await op.hashKV(r);
    await op.put('a', '2');
    await op.delete('a');
    await op.put('a', '3');
    for (const r of [5, 6, 7, 8]) await op.hashKV(r);
    await op.compact(7);
    for (const r of [7, 8]) await op.hashKV(r);
    await op.put('d', '');
    await op.compact(8);
    for (const r of [7, 8, 9]) await op.hashKV(r);
    await op.hashKV(-1);
  }),
  await scenario('every key deleted: an empty keep set', 2, async (op) => {
    for (const key of ['a', 'b', 'c']) await op.put(key, key);
    await op.compact(3);
    await op.hashKV(3);
    await op.delete('a', 'z');
    await op.hashKV(0);
    await op.compact(5);
    await op.hashKV(5);
    await op.hashKV(0);
    await op.put('x', '1');
    await op.delete('x');
    await op.hashKV(0);
    await op.hashKV(6);
    await op.compact(6);
    for (const r of [6, 7]) await op.hashKV(r);
    await op.compact(7);
    await op.hashKV(7);
    await op.put('y', '1');
    await op.delete('y');
    await op.put('z', '1');
    await op.delete('z');
    await op.compact(10);
    for (const r of [10, 11]) await op.hashKV(r);
    await op.restart();
    for (const r of [0, 10, 11]) await op.hashKV(r);
  }),
  await scenario('nothing visible at the next compaction', 3, async (op) => {
    await op.put('a', '1');
    await op.compact(2);
    await op.delete('a');
    await op.put('b', '1');
    await op.delete('b');
    await op.put('c', '1');
    for (const r of [0, 2, 3, 4, 5]) await op.hashKV(r);
    // At 5 only b's tombstone is kept; a's row, kept at 2, goes now.
    await op.compact(5);
    for (const r of [5, 6]) await op.hashKV(r);
  }),
  await scenario('compaction without writes between, and at revision 1', 4, async (op) => {
    await op.compact(1);
    for (const r of [0, 1]) await op.hashKV(r);
    await op.put('a', '1');
    await op.put('a', '2');
    for (let r = 2; r <= 3; r++) await op.compact(r);
    for (const r of [1, 2, 3]) await op.hashKV(r);
    for (let i = 0; i < 14; i++) {
      await op.put('a', String(i));
      await op.compact(op.rev());
    }
    // Only the newest ten are remembered.
    for (let r = 1; r <= op.rev(); r++) await op.hashKV(r);
  }),
  await scenario('batches: more rows than one compaction batch', 5, async (op) => {
    for (let i = 0; i < 25; i++) {
      await op.txn(Array.from({ length: 120 }, (_, j) => ({ put: [`k${(i * 37 + j * 11) % 900}-${j}`, 'v'.repeat(j)] })));
    }
    await op.hashKV(0);
    await op.compact(10);
    for (const r of [10, 15, 0]) await op.hashKV(r);
    await op.delete('k1', 'k5');
    await op.hashKV(0);
    await op.compact(op.rev());
    await op.hashKV(op.rev());
    await op.hashKV(0);
    await op.put('k1', 'x');
    await op.hashKV(0);
    await op.hash();
  }),
];
for (let seed = 10; seed < 18; seed++) {
  scenarios.push(
    await scenario(`random ${seed}`, seed, async (op) => {
      const { rnd } = op;
      const keys = seed % 2 === 0 ? 6 : 40;
      const key = () => `k${String(rnd(keys)).padStart(2, '0')}`;
      const value = () => String.fromCharCode(...Array.from({ length: rnd(30) }, () => rnd(256)));
      await op.grant('7', 9000);
      await op.grant('-5', 9000);
      await op.grant('9223372036854775807', 9000);
      const lease = () => ['0', '0', '0', '7', '-5', '9223372036854775807'][rnd(6)];
      for (let i = 0; i < 300; i++) {
        const kind = rnd(100);
        if (kind < 50) await op.put(key(), value(), lease());
        else if (kind < 70) await op.delete(key());
        else if (kind < 73) await op.delete(key(), 'k99');
        else if (kind < 83) {
          const used = new Set();
          const ops = [];
          for (let n = 1 + rnd(5); n > 0; n--) {
            const k = key();
            if (used.has(k)) continue;
            used.add(k);
            ops.push(rnd(3) === 0 ? { delete: [k] } : { put: [k, value(), lease()] });
          }
          await op.txn(ops);
        } else if (kind < 88) {
          const low = Math.max(op.compacted() + 1, 1);
          if (low <= op.rev()) {
            const to = rnd(3) === 0 ? op.rev() : low + rnd(op.rev() - low + 1);
            await op.compact(to);
            await op.hashKV(to);
          }
        } else if (kind < 99) {
          await op.hashKV([0, op.rev(), Math.max(op.compacted(), 1) + rnd(op.rev()), op.compacted()][rnd(4)]);
        } else if (rnd(2) === 0) await op.restart();
      }
      await op.hashKV(0);
    }),
  );
}
process.stdout.write(
  `{ "server": "etcd 3.7.1", "scenarios": [\n${scenarios
    .map((s) => `{ "name": ${JSON.stringify(s.name)}, "steps": [\n${s.steps.map((x) => `  ${JSON.stringify(x)}`).join(',\n')}\n] }`)
    .join(',\n')}\n] }\n`,
);
