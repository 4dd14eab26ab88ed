// The control of failpoints on a running member, as suites written for etcd use it, and points that hold up one stream alone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { failpointNames } from '../../src/host/failpoints.ts';
import { freePorts, oneMember, run, program, until } from '../support/member.ts';

describe('a member with GOFAIL_HTTP', () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  let client: Client;
  let control = '';
  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    control = `http://127.0.0.1:${port}`;
    member = await oneMember({
      env: { GOFAIL_HTTP: `127.0.0.1:${port}`, GOFAIL_FAILPOINTS: 'raftBeforeSave=print;ofAnotherVersion=panic' },
    });
    client = connect({ endpoints: [member.endpoint] });
  });
  afterAll(async () => {
    client.close();
    await member.remove();
  });

  const set = async (name: string, terms: string): Promise<void> => {
    expect((await fetch(`${control}/${name}`, { method: 'PUT', body: terms })).status).toBe(204);
  };
  const clear = async (name: string): Promise<void> => {
    expect((await fetch(`${control}/${name}`, { method: 'DELETE' })).status).toBe(204);
  };
  const count = async (name: string): Promise<number> => Number(await (await fetch(`${control}/${name}/count`)).text());

  it('lists its points and has those of the environment on', async () => {
    const lines = (await (await fetch(`${control}/`)).text()).trim().split('\n');
    expect(lines).toEqual([...failpointNames].sort().map((n) => (n === 'raftBeforeSave' ? `${n}=print` : `${n}=`)));
    await client.put('k', 'v');
    expect(member.log).toContain('failpoint print: raftBeforeSave');
    await clear('raftBeforeSave');
  });

  it('holds up a watch stream and nothing else', async () => {
    await set('beforeSendWatchResponse', 'sleep(300)');
    const watcher = client.watch('w', { prefix: true });
    const seen: number[] = [];
    watcher.onBatch = (batch) => {
      for (const e of batch.events) seen.push(e.kv!.modRevision);
    };
    await until('the watch', () => watcher.id >= 0);
    const revisions: number[] = [];
    const start = performance.now();
    for (let i = 0; i < 20; i++) revisions.push((await client.put(`w${i}`, 'v')).header!.revision);
    expect(performance.now() - start, 'puts are not held up').toBeLessThan(2500);
    expect(seen.length).toBeLessThan(20);
    await set('beforeSendWatchResponse', 'off');
    await until('all events', () => seen.length >= 20);
    expect(seen).toEqual(revisions);
    await clear('beforeSendWatchResponse');
    await client.put('w', 'v');
    await until('one more', () => seen.length === 21);
    watcher.cancel();
  });

  it('holds up a range stream', async () => {
    for (let i = 0; i < 100; i++) await client.put(`r${String(i).padStart(3, '0')}`, 'v');
    await set('beforeRangeStreamChunk', 'sleep(50)');
    const { stream } = await client.connection.stream(rpc.KV.rangeStream);
    let keys = 0;
    let ended = false;
    const start = performance.now();
    stream.onMessage = (m) => (keys += m.rangeResponse?.kvs.length ?? 0);
    stream.onEnd = () => (ended = true);
    stream.send({ key: Buffer.from('r'), rangeEnd: Buffer.from('s') });
    stream.halfClose();
    await until('the end', () => ended);
    expect(keys).toBe(100);
    const chunks = await count('beforeRangeStreamChunk');
    expect(chunks).toBeGreaterThan(1);
    expect(performance.now() - start).toBeGreaterThan(45 * chunks);
    await clear('beforeRangeStreamChunk');
  });

  it('makes a defragmentation fail with a text', async () => {
    await set('defragdbFail', '1*return("no room")');
    await expect(client.call(rpc.Maintenance.defragment, {})).rejects.toMatchObject({ message: 'no room' });
    await client.call(rpc.Maintenance.defragment, {});
    await clear('defragdbFail');
  });

  it('holds up a defragmentation and nothing else, while clients that ask for many pings wait for it', async () => {
    await set('defragBeforeCopy', 'sleep(4000)');
    const before = await count('defragBeforeCopy');
    const defrag = run(process.execPath, [
      program,
      'defrag',
      `--endpoints=${member.endpoint}`,
      '--keepalive-time=100ms',
      '--command-timeout=60s',
    ]);
    await until('the defragmentation to sleep', async () => (await count('defragBeforeCopy')) > before);
    let over = false;
    void defrag.then(() => (over = true));
    await client.put('k', 'v');
    expect((await client.get('k')).kvs).toHaveLength(1);
    expect(over).toBe(false);
    expect(await defrag).toMatchObject({ code: 0, stderr: '' });
    await clear('defragBeforeCopy');
  });

  it('reaches the points of leases', async () => {
    const { ID } = await client.grantLease(100);
    await set('beforeLookupWhenLeaseTimeToLive', 'sleep(100)');
    const start = performance.now();
    await client.leaseTimeToLive(ID);
    expect(performance.now() - start).toBeGreaterThan(95);
    await clear('beforeLookupWhenLeaseTimeToLive');
  });

  it('tells a renewal that its lease was revoked meanwhile', async () => {
    await set('beforeCheckpointInLeaseRenew', 'sleep(3000)');
    // On a busy machine a renewal can be over before the lease is gone.
    let outcome = '';
    for (let attempt = 0; attempt < 5 && !outcome.includes('requested lease not found'); attempt++) {
      const { ID } = await client.grantLease(100);
      const before = await count('beforeCheckpointInLeaseRenew');
      const renewal = client.keepLeaseOnce(ID).then(
        (r) => String(r.TTL),
        (error: Error) => error.message,
      );
      await until('the renewal to sleep', async () => (await count('beforeCheckpointInLeaseRenew')) > before);
      await client.revokeLease(ID);
      outcome = await renewal;
    }
    expect(outcome).toContain('requested lease not found');
    await clear('beforeCheckpointInLeaseRenew');
  });

  it('writes back what changed data alone', async () => {
    await set('beforeWritebackBuf', 'off');
    // What goes through the log and finds nothing to do; the member itself may have something to write meanwhile.
    await until('a request that wrote nothing', async () => {
      const before = await count('beforeWritebackBuf');
      await client.delete('nothing there');
      return (await count('beforeWritebackBuf')) === before;
    });
    const before = await count('beforeWritebackBuf');
    await client.put('k', 'v');
    expect(await count('beforeWritebackBuf')).toBeGreaterThan(before);
    await clear('beforeWritebackBuf');
  });

  it('dies at a panic with 2, as a Go program', async () => {
    await set('raftBeforeSave', 'panic("so be it")');
    await client.put('k', 'v', { timeoutMs: 2000 }).catch(() => undefined);
    expect(await member.exit).toEqual({ code: 2, signal: null });
    expect(member.log).toContain('panic: failpoint panic: so be it');
  });
});

it('keeps its control off the network', async () => {
  const r = await run(process.execPath, [program, 'server', '--data-dir', '/nonexistent/x'], { env: { GOFAIL_HTTP: '0.0.0.0:0' } });
  expect(r.code).toBe(1);
  expect(r.stderr).toContain('is not a loopback address');
});
