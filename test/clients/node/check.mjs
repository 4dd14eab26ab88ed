// Drives a member through the npm package etcd3: one line for each check. Needs that package beside it in node_modules.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [hosts, modules] = process.argv.slice(2);
const { Etcd3, EtcdLockFailedError } = createRequire(join(modules, 'x.js'))('etcd3');
const client = new Etcd3({ hosts });
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const equal = (a, b) => {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${JSON.stringify(a)} instead of ${JSON.stringify(b)}`);
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
