// Drives a member through the npm package etcd3, and through the grpc-js that it brings: one line for each check. Needs that package beside
// it in node_modules. Prints "restart" when the member is to be ended in good order and started again under load, and waits for standard input.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [hosts, modules] = process.argv.slice(2);
const { Etcd3, EtcdLockFailedError } = createRequire(join(modules, 'x.js'))('etcd3');
const grpc = createRequire(join(modules, 'x.js'))('@grpc/grpc-js');
const client = new Etcd3({ hosts });
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const equal = (a, b) => {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${JSON.stringify(a)} instead of ${JSON.stringify(b)}`);
};

// Bare calls of grpc-js, on messages made by hand: field 1 and 2 are bytes.
const bytes = (field, value) => {
  const body = Buffer.from(value);
  const length = [];
  let n = body.length;
  for (; n > 127; n >>>= 7) length.push((n & 127) | 128);
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length, n]), body]);
};
const open = (options = {}) =>
  new grpc.Client(hosts, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': 64 << 20, ...options });
const same = (b) => b;
/** The reply, or the error. */
const call = (channel, method, request, { metadata = new grpc.Metadata(), options = {}, cancelMs } = {}) =>
  new Promise((resolve) => {
    const c = channel.makeUnaryRequest(method, same, same, request, metadata, options, (error, reply) => resolve(error ?? reply));
    if (cancelMs !== undefined) setTimeout(() => c.cancel(), cancelMs);
  });
const put = '/etcdserverpb.KV/Put';
const range = '/etcdserverpb.KV/Range';
const lock = '/v3lockpb.Lock/Lock';
const code = (answer, wanted) => equal(answer.code, grpc.status[wanted]);
const queue = async (name, n) => {
  for (let i = 0; i < 1500 && (await client.getAll().prefix(`${name}/`).count()) !== n; i++) await sleep(20);
  equal(await client.getAll().prefix(`${name}/`).count(), n);
};

const checks = {
  async kv() {
    await client.put('n/a').value('1');
    equal(await client.get('n/a').string(), '1');
    equal(await client.get('n/none').string(), null);
    await client.delete().key('n/a');
    equal(await client.get('n/a').exists(), false);
  },
  async ranges() {
    for (let i = 0; i < 20; i++) await client.put(`n/r/${String(i).padStart(2, '0')}`).value(i);
    equal(await client.getAll().prefix('n/r/').sort('Key', 'Descend').limit(3).keys(), ['n/r/19', 'n/r/18', 'n/r/17']);
    equal(await client.getAll().prefix('n/r/').count(), 20);
  },
  async txn() {
    const r = await client.if('n/t', 'Create', '==', 0).then(client.put('n/t').value('x')).else(client.get('n/t')).commit();
    equal(r.succeeded, true);
    const again = await client.if('n/t', 'Value', '==', 'y').then(client.put('n/t').value('z')).else(client.get('n/t')).commit();
    equal(again.succeeded, false);
    equal(again.responses[0].response_range.kvs[0].value.toString(), 'x');
  },
  async watch() {
    const watcher = await client.watch().prefix('n/w/').create();
    const seen = [];
    watcher.on('put', (kv) => seen.push(kv.value.toString()));
    watcher.on('delete', () => seen.push('gone'));
    for (let i = 0; i < 5; i++) await client.put('n/w/a').value(i);
    await client.delete().key('n/w/a');
    for (let i = 0; i < 100 && seen.length < 6; i++) await sleep(20);
    await watcher.cancel();
    equal(seen, ['0', '1', '2', '3', '4', 'gone']);
  },
  async lease() {
    const lease = client.lease(2);
    await lease.put('n/l').value('x');
    await sleep(3000);
    equal(await client.get('n/l').string(), 'x');
    await lease.revoke();
    equal(await client.get('n/l').string(), null);
  },
  async lock() {
    const lock = client.lock('n/lock');
    await lock.acquire();
    let refused = false;
    await client
      .lock('n/lock')
      .acquire()
      .catch((e) => (refused = e instanceof EtcdLockFailedError));
    equal(refused, true);
    await lock.release();
    await client.lock('n/lock').do(async () => undefined);
  },
  async election() {
    const election = client.election('n/election', 5);
    const campaign = election.campaign('one');
    await new Promise((resolve, reject) => {
      campaign.on('elected', resolve);
      campaign.on('error', reject);
    });
    equal(await election.leader(), 'one');
    await campaign.resign();
    equal(await election.leader(), undefined);
  },
  async stm() {
    await client.put('n/s').value('0');
    const add = () => client.stm().transact(async (tx) => tx.put('n/s').value(Number(await tx.get('n/s').string()) + 1));
    await Promise.all([add(), add(), add(), add()]);
    equal(await client.get('n/s').string(), '4');
  },
  async large() {
    const value = Buffer.alloc(1_000_000, 'v');
    for (let i = 0; i < 12; i++) await client.put(`n/large/${i}`).value(value);
    const channel = open();
    const all = await call(channel, range, Buffer.concat([bytes(1, 'n/large/'), bytes(2, 'n/large0')]));
    equal(all.length > 12_000_000, true);
    for (let i = 0; i < 20; i++) {
      const cut = await call(channel, range, Buffer.concat([bytes(1, 'n/large/'), bytes(2, 'n/large0')]), { cancelMs: i });
      equal(cut.code === undefined || cut.code === grpc.status.CANCELLED, true);
    }
    code(await call(channel, put, Buffer.concat([bytes(1, 'n/large'), bytes(2, Buffer.alloc(1_600_000))])), 'INVALID_ARGUMENT');
    await client.delete().prefix('n/large/');
    channel.close();
  },
  async deadlines() {
    const channel = open();
    await call(channel, lock, bytes(1, 'n-deadline'));
    code(await call(channel, lock, bytes(1, 'n-deadline'), { options: { deadline: Date.now() + 300 } }), 'DEADLINE_EXCEEDED');
    await queue('n-deadline', 1);
    channel.close();
  },
  async cancellation() {
    const channel = open();
    await call(channel, lock, bytes(1, 'n-cancel'));
    const waiting = call(channel, lock, bytes(1, 'n-cancel'), { cancelMs: 500 });
    code(await waiting, 'CANCELLED');
    await queue('n-cancel', 1);
    channel.close();
  },
  async compression() {
    const channel = open({ 'grpc.default_compression_algorithm': 2 });
    const value = 'compressible '.repeat(50_000);
    await call(channel, put, Buffer.concat([bytes(1, 'n/zip'), bytes(2, value)]));
    equal(await client.get('n/zip').string(), value);
    equal((await call(channel, range, bytes(1, 'n/zip'))).includes(Buffer.from(value)), true);
    code(await call(channel, put, bytes(2, 'x')), 'INVALID_ARGUMENT');
    channel.close();
  },
  async errors() {
    const channel = open();
    const metadata = new grpc.Metadata();
    metadata.set('hasleader', 'true');
    metadata.set('trace-bin', Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    for (let i = 0; i < 40; i++) metadata.set(`x-${i}`, 'v'.repeat(i * 5));
    for (let i = 0; i < 100; i++) await call(channel, put, bytes(1, 'n/meta'), { metadata });
    const wrong = await call(channel, put, Buffer.alloc(0), { metadata });
    code(wrong, 'INVALID_ARGUMENT');
    equal(wrong.details, 'etcdserver: key is not provided');
    code(await call(channel, '/etcdserverpb.KV/Nothing', Buffer.alloc(0)), 'UNIMPLEMENTED');
    channel.close();
  },
  async many() {
    const channel = open();
    for (let i = 0; i < 50; i++) {
      const answers = await Promise.all(Array.from({ length: 200 }, (_, k) => call(channel, put, bytes(1, `n/many/${k}`))));
      for (const a of answers) equal(a.code, undefined);
    }
    channel.close();
  },
  async goaway() {
    const channel = open();
    const last = Array.from({ length: 8 }, () => 0);
    const wrong = [];
    let count = 0;
    let stop = false;
    const work = last.map(async (_, w) => {
      for (let i = 1; !stop; i++) {
        const answer = await call(channel, put, Buffer.concat([bytes(1, `n/goaway/${w}`), bytes(2, String(i))]));
        if (answer.code === undefined) {
          last[w] = i;
          count++;
        } else if (answer.code === grpc.status.UNAVAILABLE) await sleep(10);
        else wrong.push(answer);
      }
    });
    const reach = async (n) => {
      for (let i = 0; i < 6000 && count < n; i++) await sleep(10);
      equal(count >= n, true);
    };
    await reach(200);
    const restarted = new Promise((resolve) => process.stdin.once('data', resolve));
    console.log('restart');
    await restarted;
    await reach(count + 200);
    stop = true;
    await Promise.all(work);
    if (wrong.length > 0) throw wrong[0];
    for (let w = 0; w < 8; w++) {
      const value = Number(await client.get(`n/goaway/${w}`).string());
      equal(value >= last[w], true);
    }
    channel.close();
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`fail ${name}: ${error?.stack ?? error}`);
  }
}
client.close();
process.exit(failed ? 1 : 0);
