// The data directory of a killed member with its WAL cut at every byte of the last record, or with a flipped bit: it starts with what was
// whole, or is refused by name; never other content.
// Every byte and 400 bits: TSETCD_FULL=1 npm test test/robustness/wal-damage
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { connect } from '../../src/client/index.ts';
import { SegmentReader } from '../../src/server/storage/wal/segment-reader.ts';
import { WalError } from '../../src/server/storage/wal/errors.ts';
import { freePorts, oneMember, program, scratch, type MemberProcess } from '../support/member.ts';
import { diskOf, readTree, startOn } from './in-process.ts';

const full = process.env['TSETCD_FULL'] !== undefined;
const segment = 'member/wal/0000000000000000-0000000000000000.wal';
const writes = 30;

describe('the WAL of a killed member', () => {
  let member: MemberProcess & { remove(): Promise<void> };
  const place = scratch();
  /** Nothing of it is in the store yet: all of it is replayed from the WAL. */
  let files: Map<string, Uint8Array>;
  /** Of the records, and at last where they end. */
  const offsets: number[] = [];

  beforeAll(async () => {
    member = await oneMember({ args: ['--backend-batch-interval=1h'] });
    const client = connect({ endpoints: [member.endpoint] });
    for (let n = 1; n <= writes; n++) await client.put(`k${n}`, `v${n}`.repeat(20));
    client.close();
    await member.stop('SIGKILL');
    files = readTree(member.options.dataDir);
    const disk = diskOf(files);
    const reader = new SegmentReader(disk.open(`data/${segment}`, { write: false }), { crc: 0, isLast: true });
    do offsets.push(reader.offset);
    while (reader.next() === 'record');
    // Of the reserved space a little is enough.
    files.set(segment, wal().subarray(0, (offsets.at(-1) as number) + 16_384));
  });
  afterAll(async () => {
    await member.remove();
    place.remove();
  });

  const wal = (): Uint8Array => Uint8Array.from(files.get(segment) ?? []);
  const start = (bytes: Uint8Array): ReturnType<typeof startOn> => startOn(diskOf(new Map([...files, [segment, bytes]])));

  /** How many of the writes are there, in order and with their values. */
  const kept = async (bytes: Uint8Array): Promise<number> => {
    const running = await start(bytes);
    const { kvs } = await running.client.get('k', { prefix: true, sort: { by: 'CREATE', order: 'ASCEND' } });
    kvs.forEach((kv, i) => {
      expect(Buffer.from(kv.key).toString()).toBe(`k${i + 1}`);
      expect(Buffer.from(kv.value).toString()).toBe(`v${i + 1}`.repeat(20));
      expect(kv.modRevision).toBe(i + 2);
    });
    // It goes on with the next revision.
    const r = await running.client.put('next', 'x');
    expect(r.header?.revision).toBe(kvs.length + 2);
    await running.stop();
    return kvs.length;
  };

  it('is whole', async () => {
    expect(await kept(wal())).toBe(writes);
  });

  it('cut off at every byte of the last records loses at most those', async () => {
    // The last one may be a lone commit index; then the one before it carries the last write.
    const [beforeLast = 0, last = 0, end = 0] = offsets.slice(-3);
    for (let at = beforeLast; at <= end; at += full ? 1 : 11)
      expect(await kept(wal().subarray(0, at)), `cut at ${at}`).toBeGreaterThanOrEqual(writes - (at < last ? 2 : 1));
  });

  it('with lost sectors at its end loses at most what lay in them', async () => {
    const end = offsets.at(-1) as number;
    for (let sector = end - (end % 512); sector > end - 2500; sector -= 512) {
      const whole = offsets.filter((o) => o <= sector).length;
      expect(await kept(wal().fill(0, sector)), `zero from ${sector}`).toBeGreaterThanOrEqual(writes - (offsets.length - whole));
    }
  });

  it('with a flipped bit is refused, or has lost nothing', async () => {
    const random = new SeededRandom(7);
    const end = offsets.at(-1) as number;
    for (let i = 0; i < (full ? 400 : 25); i++) {
      const at = random.u32() % (offsets[offsets.length >> 1] as number);
      const bytes = wal();
      (bytes[at] as number) ^= 1 << (random.u32() % 8);
      const outcome = await start(bytes).then(
        async (running) => {
          await running.stop();
          return 'started';
        },
        (error: unknown) => error,
      );
      // A bit of a length that the record itself gives away is mended.
      if (outcome === 'started') expect(await kept(bytes), `bit at ${at} of ${end}`).toBe(writes);
      else {
        expect(outcome, `bit at ${at}`).toBeInstanceOf(WalError);
        expect((outcome as WalError).message, `bit at ${at}`).toMatch(/0000000000000000-0000000000000000\.wal, offset \d+, record \d+\)/);
        const place = (outcome as WalError).place.offset as number;
        expect(offsets, `bit at ${at}`).toContain(place);
        expect(place, `bit at ${at}`).toBe(offsets.filter((o) => o <= at).at(-1));
      }
    }
  });

  it('with a flipped bit ends the program with 20, file and offset named', async () => {
    const dir = join(place.dir, 'flipped');
    cpSync(member.options.dataDir, dir, { recursive: true });
    const record = offsets[offsets.length >> 1] as number;
    const bytes = readFileSync(join(dir, segment));
    (bytes[record + 20] as number) ^= 4;
    writeFileSync(join(dir, segment), bytes);
    const [client = 0, peer = 0] = await freePorts(2);
    const flags = [
      '--data-dir',
      dir,
      '--listen-client-urls',
      `http://127.0.0.1:${client}`,
      '--advertise-client-urls',
      'http://127.0.0.1:1',
    ];
    const r = spawnSync(process.execPath, [program, 'server', ...flags, '--listen-peer-urls', `http://127.0.0.1:${peer}`], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(r.status).toBe(20);
    const last = JSON.parse(r.stderr.trim().split('\n').at(-1) ?? '') as { level: string; error: string };
    expect(last.level).toBe('fatal');
    expect(last.error).toContain(`${join(dir, segment)}, offset ${record}, record `);
    expect(last.error).toContain('remove this member from the cluster and add it again');
  });
});
