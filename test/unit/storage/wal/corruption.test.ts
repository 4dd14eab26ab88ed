// What a crash or rot can do to the bytes of a log, tried exhaustively: the log is whole, cut at a torn tail, or refused; never other content.
import { beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { WalError } from '../../../../src/server/storage/wal/errors.ts';
import { WAL, type OpenedWal } from '../../../../src/server/storage/wal/wal.ts';
import { SegmentReader } from '../../../../src/server/storage/wal/segment-reader.ts';
import {
  closed,
  confState,
  contentOf,
  dir,
  entries,
  entry,
  machine,
  metadata,
  noSnapshot,
  putFile,
  readFile,
  saved,
  state,
  type Machine,
} from './harness.ts';

const firstName = '0000000000000000-0000000000000000.wal';
const first = `${dir}/${firstName}`;

/** A machine with these segments and nothing else. */
function withSegments(files: Readonly<Record<string, Uint8Array>>, segmentBytes = 16_384): Machine {
  const m = machine({ segmentBytes });
  m.disk.mkdir(dir, 0o700);
  for (const [name, bytes] of Object.entries(files)) putFile(m, `${dir}/${name}`, bytes);
  return m;
}

function open(m: Machine): OpenedWal | WalError {
  try {
    return WAL.open(m.options, noSnapshot);
  } catch (error) {
    if (error instanceof WalError) return error;
    throw error;
  }
}

/** Offsets of the records of a whole segment, then the end of its data. */
function offsetsOf(bytes: Uint8Array): number[] {
  const m = withSegments({ [firstName]: bytes });
  const reader = new SegmentReader(m.disk.open(first, { write: false }), { crc: 0, isLast: true });
  const offsets = [0];
  while (reader.next() === 'record') offsets.push(reader.offset);
  return offsets;
}

/** Content with the last `n` records missing. */
async function build(write: (m: Machine, wal: WAL) => Promise<void>, segmentBytes = 16_384): Promise<Record<string, Uint8Array>> {
  const m = machine({ segmentBytes });
  const wal = WAL.create(m.options, metadata);
  await write(m, wal);
  await closed(m, wal);
  return Object.fromEntries(m.disk.list(dir).map((n) => [n, readFile(m, `${dir}/${n}`)]));
}

describe('a torn tail', () => {
  let bytes: Uint8Array;
  let offsets: number[];
  beforeAll(async () => {
    const files = await build(async (m, wal) => {
      await saved(m, wal, entries(1, 4), state(1, 2));
      await saved(m, wal, [entry(5, 1, Buffer.alloc(1500, 0xa5))]);
    });
    bytes = files[firstName] as Uint8Array;
    offsets = offsetsOf(bytes);
  });

  test('the file ends at any byte of the last record', async () => {
    const start = offsets[offsets.length - 2] as number;
    const end = offsets[offsets.length - 1] as number;
    for (let cut = start; cut < end; cut++) {
      const m = withSegments({ [firstName]: bytes.slice(0, cut) });
      const opened = open(m);
      if (opened instanceof WalError) throw opened;
      expect(opened.lastIndex).toBe(4);
      expect(opened.hardState.commit).toBe(2);
      expect(opened.repair?.bytesRemoved).toBe(cut === start ? undefined : lastNonZero(bytes, cut) - start);
      // The log goes on, and a reader finds what was written then.
      await saved(m, opened.wal, [entry(5, 2, Buffer.alloc(700, 1)), entry(6, 2)], state(2, 6));
      await closed(m, opened.wal);
      if (cut !== start) expect(m.disk.list(dir)).toEqual([firstName, `${firstName}.broken`]);
      if (cut !== start) expect(m.disk.stat(`${first}.broken`)?.bytes).toBe(lastNonZero(bytes, cut));
      m.disk.faults.crashKeeps = 'nothing';
      m.disk.crash();
      const again = open(m);
      if (again instanceof WalError) throw again;
      expect(again.entries.map((e) => `${e.Index}/${e.Term}`)).toEqual(['1/1', '2/1', '3/1', '4/1', '5/2', '6/2']);
      expect(again.repair).toBeUndefined();
    }
  });

  test('any whole sectors of the last record are zero', () => {
    const start = offsets[offsets.length - 2] as number;
    const end = offsets[offsets.length - 1] as number;
    const sectors: number[] = [];
    for (let s = Math.floor(start / 512) * 512; s < end; s += 512) sectors.push(s);
    // Each subset of the sectors that the record lies in, the first cut at the record's start as the rest of it was there before.
    for (let subset = 1; subset < 1 << sectors.length; subset++) {
      const torn = bytes.slice();
      for (const [i, s] of sectors.entries()) if (subset & (1 << i)) torn.fill(0, Math.max(s, start), Math.min(s + 512, end));
      const opened = open(withSegments({ [firstName]: torn }));
      if (opened instanceof WalError) throw opened;
      expect(opened.lastIndex).toBe(4);
    }
  });

  test('a damaged last record without a zero sector is refused', () => {
    const start = offsets[offsets.length - 2] as number;
    const bad = bytes.slice();
    bad[start + 200] = 1;
    const error = open(withSegments({ [firstName]: bad }));
    expect(error).toBeInstanceOf(WalError);
    expect((error as WalError).code).toBe('corrupt');
    expect((error as WalError).place).toEqual({ path: first, offset: start, record: offsets.length - 2 });
  });

  test('a torn record before the last segment is refused', async () => {
    const files = await build(async (m, wal) => {
      for (let i = 1; i <= 20; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc(600, i))], state(1, i - 1));
    }, 4096);
    const names = Object.keys(files);
    expect(names.length).toBeGreaterThan(2);
    const second = files[names[1] as string] as Uint8Array;
    const zeroed = second.slice();
    zeroed.fill(0, 1024, 1536);
    expect((open(withSegments({ ...files, [names[1] as string]: zeroed }, 4096)) as WalError).code).toBe('corrupt');
    expect((open(withSegments({ ...files, [names[1] as string]: second.slice(0, 3000) }, 4096)) as WalError).code).toBe('corrupt');
    const zeroTail = second.slice();
    zeroTail.fill(0, 3584);
    expect((open(withSegments({ ...files, [names[1] as string]: zeroTail }, 4096)) as WalError).code).toBe('corrupt');
    // A closed segment that ends early at a record's border: its successor's checksum tells.
    const whole = second.slice();
    whole.fill(0, offsetsIn(files, names[1] as string).at(-2));
    expect((open(withSegments({ ...files, [names[1] as string]: whole }, 4096)) as WalError).code).toBe('corrupt');
  });

  test('a tail below the commit index is refused (rule F-6)', async () => {
    const files = await build(async (m, wal) => {
      await saved(m, wal, entries(1, 4), state(1, 2));
      await saved(m, wal, entries(5, 5, 1, 1500), state(1, 2));
      await saved(m, wal, [], state(1, 5));
    });
    const all = files[firstName] as Uint8Array;
    const at = offsetsOf(all);
    // The big entry alone is rotten to zeros, in a sector of its own; the state behind it is intact but can no longer be read.
    const torn = all.slice();
    const entryAt = at[at.length - 4] as number;
    const sector = Math.ceil((entryAt + 8) / 512) * 512;
    torn.fill(0, sector, sector + 512);
    const opened = open(withSegments({ [firstName]: torn }));
    // What remains says commit 2, so nothing contradicts it here: the store's consistent index has to. (The known limit of F-4.)
    expect((opened as OpenedWal).lastIndex).toBe(4);
    // But where the commit index came first, it tells.
    const early = await build(async (m, wal) => {
      await saved(m, wal, entries(1, 4), state(1, 2));
      wal.save([], state(1, 6), false, () => {});
      await saved(m, wal, entries(5, 6, 1, 1500));
    });
    const cut = early[firstName] as Uint8Array;
    const error = open(withSegments({ [firstName]: cut.slice(0, (offsetsOf(cut).at(-1) as number) - 9) }));
    expect((error as WalError).code).toBe('ends-early');
  });

  test('a length that was lost with its sector does not lose the record behind it', async () => {
    // Enough entries of many sizes that some frames begin in the last 8 bytes of a sector.
    const files = await build(async (m, wal) => {
      for (let i = 1; i <= 200; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc((i * 7) % 60, 5))]);
      await saved(m, wal, [entry(201, 1, Buffer.alloc(2000, 3))]);
    });
    const all = files[firstName] as Uint8Array;
    const hit = offsetsOf(all).filter((o) => o % 512 === 504);
    expect(hit.length).toBeGreaterThan(0);
    for (const offset of hit) {
      const lost = all.slice();
      lost.fill(0, offset, offset + 8);
      const m = withSegments({ [firstName]: lost });
      const opened = open(m);
      if (opened instanceof WalError) throw opened;
      expect(opened.lastIndex).toBe(201);
      expect(Buffer.from(readFile(m, first)).equals(Buffer.from(all))).toBe(true);
    }
  });

  test('leftovers of a lost write behind the end are wiped', async () => {
    // Two records under way at a crash; the sector with the first's length was lost, the rest was not.
    const torn = bytes.slice();
    const end = offsets[offsets.length - 1] as number;
    const from = Math.ceil(end / 512) * 512 + 512;
    torn.fill(0x77, from, from + 600);
    const m = withSegments({ [firstName]: torn });
    const opened = open(m);
    if (opened instanceof WalError) throw opened;
    expect(opened.lastIndex).toBe(5);
    expect(opened.repair?.bytesRemoved).toBe(from + 600 - end);
    const after = readFile(m, first);
    expect(after.length).toBe(16_384);
    expect(after.subarray(end).every((b) => b === 0)).toBe(true);
  });
});

describe('rot', () => {
  test('every flipped bit of a small log: refused, or the same content', async () => {
    const files = await build(async (m, wal) => {
      await saved(m, wal, [{ Type: 1, Term: 1, Index: 1, Data: Buffer.from('join') }], state(1, 1));
      await saved(m, wal, entries(2, 4, 2), state(2, 3));
      await saved(m, wal, [entry(5, 2, Buffer.alloc(300, 9))], state(2, 5));
      wal.saveSnapshot({ index: 3, term: 2, confState }, () => {});
      await saved(m, wal, [{ Type: 2, Term: 3, Index: 6, Data: new Uint8Array(0) }, ...entries(7, 12, 3, 130)], state(3, 9, 0n));
      await saved(m, wal, entries(13, 14, 4), state(4, 12));
    }, 1024);
    const names = Object.keys(files);
    expect(names.length).toBe(2);
    const want = contentOf(open(withSegments(files, 1024)) as OpenedWal);
    let refused = 0;
    let same = 0;
    for (const name of names) {
      const bytes = files[name] as Uint8Array;
      const used = lastNonZero(bytes, bytes.length) + 16;
      for (let bit = 0; bit < used * 8; bit++) {
        const flipped = bytes.slice();
        const at = bit >> 3;
        if (at >= flipped.length) break;
        flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7));
        const opened = open(withSegments({ ...files, [name]: flipped }, 1024));
        if (opened instanceof WalError) refused++;
        else {
          expect(contentOf(opened), `${name} byte ${at} bit ${bit & 7}`).toEqual(want);
          same++;
        }
      }
    }
    expect(refused).toBeGreaterThan(10_000);
    // Only padding and what lies behind the end may change unseen.
    expect(same).toBeLessThan(refused / 5);
  });

  test('S-015: no length field makes for a huge allocation or a crash', async () => {
    const files = await build((m, wal) => saved(m, wal, entries(1, 6), state(1, 6)));
    const bytes = files[firstName] as Uint8Array;
    for (const offset of offsetsOf(bytes).slice(0, -1)) {
      for (const value of [0n, 2n ** 64n - 1n, 2n ** 31n, 2n ** 56n - 1n, 2n ** 56n - 8n, 1n, 8n, 16_000n, 2n ** 63n]) {
        const bad = Buffer.from(bytes);
        bad.writeBigUInt64LE(value, offset);
        const opened = open(withSegments({ [firstName]: bad }));
        expect(opened).toBeInstanceOf(WalError);
      }
    }
  });

  test('random damage never gives other content', async () => {
    const random = new SeededRandom(11);
    const files = await build(async (m, wal) => {
      for (let i = 1; i <= 12; i++) await saved(m, wal, [entry(i, 1, random.bytes(40 + (i % 5) * 100))], state(1, i - 1));
    });
    const bytes = files[firstName] as Uint8Array;
    const want = open(withSegments(files)) as OpenedWal;
    const used = lastNonZero(bytes, bytes.length);
    for (let round = 0; round < 3000; round++) {
      const bad = bytes.slice();
      for (let n = 1 + (random.u32() % 6); n > 0; n--) bad[random.u32() % used] = random.u32() % 256;
      const opened = open(withSegments({ [firstName]: bad }));
      if (opened instanceof WalError) continue;
      expect(contentOf(opened)).toEqual(contentOf(want));
    }
  });
});

function lastNonZero(bytes: Uint8Array, before: number): number {
  let n = before;
  while (n > 0 && bytes[n - 1] === 0) n--;
  return n;
}

/** Record offsets of a later segment, by reading the earlier ones first. */
function offsetsIn(files: Readonly<Record<string, Uint8Array>>, wanted: string): number[] {
  const m = withSegments(files);
  let crc = 0;
  for (const name of Object.keys(files)) {
    const reader = new SegmentReader(m.disk.open(`${dir}/${name}`, { write: false }), { crc, isLast: false });
    const offsets = [0];
    while (reader.next() === 'record') offsets.push(reader.offset);
    if (name === wanted) return offsets;
    crc = reader.crc;
  }
  throw new Error('no such segment');
}
