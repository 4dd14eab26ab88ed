// A member inside this process: no sockets unless asked for, nothing left behind.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../../src/client/index.ts';
import { type EmbeddedMember, startMember } from '../../../src/server/embed.ts';

const value = async (m: EmbeddedMember): Promise<string | undefined> => {
  const kv = (await m.client.get('k')).kvs[0];
  return kv === undefined ? undefined : Buffer.from(kv.value).toString();
};

describe('startMember', () => {
  const open: EmbeddedMember[] = [];
  const start = async (...args: Parameters<typeof startMember>): Promise<EmbeddedMember> => {
    const member = await startMember(...args);
    open.push(member);
    return member;
  };
  afterEach(async () => {
    for (const m of open.splice(0)) await m.close();
  });

  it('serves in memory, without ports, and several at once', async () => {
    const [a, b] = [await start(), await start()];
    await a.client.put('k', 'a');
    await b.client.put('k', 'b');
    expect(await value(a)).toBe('a');
    expect(await value(b)).toBe('b');
    expect(a.endpoints).toEqual([]);
    expect(a.metrics()).toContain('etcd_server_has_leader 1');
  });

  it('listens on a free port when asked', async () => {
    const member = await start({ listen: true });
    const client = connect({ endpoints: member.endpoints });
    await client.put('k', 'v');
    expect(await value(member)).toBe('v');
    await client.close();
  });

  it('keeps its data on disk, with the rights of a data directory', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tsetcd-embed-'));
    try {
      const first = await startMember({ dataDir: join(dir, 'd') });
      await first.client.put('k', 'kept');
      await expect(startMember({ dataDir: join(dir, 'd') })).rejects.toThrow('in use');
      await first.close();
      expect(statSync(join(dir, 'd/member')).mode & 0o777).toBe(0o700);
      const second = await start({ dataDir: join(dir, 'd') });
      expect(second.memberId).toBe(first.memberId);
      expect(await value(second)).toBe('kept');
    } finally {
      for (const m of open.splice(0)) await m.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('takes the flags of the program, and refuses bad ones', async () => {
    const member = await start({ flags: { 'max-txn-ops': 1, 'max-request-bytes': 1000 } });
    await expect(member.client.put('k', 'x'.repeat(2000))).rejects.toThrow('etcdserver: request is too large');
    await expect(startMember({ flags: { 'election-timeout': 1 } })).rejects.toThrow('at least as 5 times');
    await expect(startMember({ flags: { nope: 1 } })).rejects.toThrow('flag provided but not defined: -nope');
  });

  it('leaves no handle behind, and ends what is open with "server stopped"', async () => {
    const kinds = (): string[] =>
      process
        .getActiveResourcesInfo()
        .filter((k) => k !== 'CloseReq' && k !== 'Timeout')
        .sort();
    const before = kinds();
    const member = await startMember({ listen: true });
    await member.client.put('k', 'v');
    const watch = member.client.watch('k');
    await new Promise((resolve) => setTimeout(resolve, 20));
    await member.close();
    await expect(member.client.put('k', 'v')).rejects.toThrow();
    void watch;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(kinds()).toEqual(before);
  });
});
