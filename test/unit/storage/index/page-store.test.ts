// Pages come back as they were at the last checkpoint, whatever happened since; a changed bit is noticed.
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { IndexPageError, pageBytes, pageType } from '../../../../src/server/storage/index/page-format.ts';
import type { PageTable } from '../../../../src/server/storage/index/page-store.ts';
import { PageStore, frameBase, frameChunk } from '../../../../src/server/storage/index/page-store.ts';

const path = '/index.pages';
const makeDisk = (): MemoryDisk => new MemoryDisk({ defer: (fn) => fn() });

function fill(store: PageStore, id: number, byte: number): void {
  const f = store.touch(id);
  (store.chunks[frameChunk(f)] as Buffer).fill(byte, frameBase(f) + 16, frameBase(f) + pageBytes);
}
function byteOf(store: PageStore, id: number): number {
  store.beginOp();
  const f = store.fetch(id);
  return (store.chunks[frameChunk(f)] as Buffer)[frameBase(f) + 100] as number;
}
/** Writes what there is so far to the file. */
function drain(store: PageStore): void {
  const { ops, buffers } = store.takeCheckpointOps();
  for (const op of ops) if (op.kind === 'write') op.file.write(op.bytes, op.position);
  store.giveBack(buffers);
}

describe('page store', () => {
  it('a checkpoint shows one moment, while pages change, go and come', () => {
    const random = new SeededRandom(7);
    const disk = makeDisk();
    const cacheBytes = 80 * pageBytes;
    let store = PageStore.create({ disk, path, cacheBytes });
    let now = new Map<number, number>();
    let table: PageTable | undefined;
    for (let round = 0; round < 60; round++) {
      const change = (): void => {
        store.beginOp();
        const ids = [...now.keys()];
        const dice = random.u32() % 10;
        if (ids.length < 20 || dice < 3) {
          const id = store.allocate(pageType.overflow);
          now.set(id, random.u32() & 255);
          fill(store, id, now.get(id) as number);
        } else {
          const id = ids[random.u32() % ids.length] as number;
          if (dice < 5) {
            store.free(id);
            now.delete(id);
          } else {
            now.set(id, random.u32() & 255);
            fill(store, id, now.get(id) as number);
          }
        }
      };
      for (let i = random.u32() % 200; i > 0; i--) change();
      const then = new Map(now);
      store.beginCheckpoint();
      for (let more = true; more;) {
        more = store.stepCheckpoint(1 + (random.u32() % 20));
        for (let i = random.u32() % 12; i > 0; i--) change();
        drain(store);
      }
      table = store.checkpointTable();
      store.endCheckpoint();
      store.verify();
      for (let i = random.u32() % 50; i > 0; i--) change();
      for (const [id, byte] of now) expect(byteOf(store, id)).toBe(byte);
      if (random.u32() % 3 === 0) {
        // Opened from the checkpoint: what came after is gone.
        store.close();
        store = PageStore.open({ disk, path, cacheBytes, table });
        now = then;
        store.verify();
        for (const [id, byte] of now) expect(byteOf(store, id)).toBe(byte);
        expect(store.livePages).toBe(now.size);
      }
    }
  });

  it('keeps to its cache when nothing is dirty', () => {
    const disk = makeDisk();
    const store = PageStore.create({ disk, path, cacheBytes: 64 * pageBytes });
    for (let i = 0; i < 5000; i++) {
      store.beginOp();
      fill(store, store.allocate(pageType.overflow), i & 255);
    }
    expect(store.frames).toBeLessThanOrEqual(64);
    for (let id = 1; id <= 5000; id++) expect(byteOf(store, id)).toBe((id - 1) & 255);
    expect(store.frames).toBeLessThanOrEqual(64);
  });

  it('what a checkpoint has copied stays until it can be read from the file, and no longer', () => {
    const disk = makeDisk();
    const store = PageStore.create({ disk, path, cacheBytes: 64 * pageBytes });
    const add = (n: number): void => {
      store.beginOp();
      fill(store, store.allocate(pageType.overflow), n & 255);
    };
    const check = (count: number): void => {
      for (let id = 1; id <= count; id++) expect(byteOf(store, id)).toBe((id - 1) & 255);
    };
    for (let i = 0; i < 500; i++) add(i);
    store.beginCheckpoint();
    while (store.stepCheckpoint(10));
    drain(store);
    store.endCheckpoint();
    for (let i = 500; i < 600; i++) add(i);
    const before = store.frames;
    expect(before).toBe(100);
    store.beginCheckpoint();
    while (store.stepCheckpoint(10));
    expect(store.excessBytes).toBe(36 * pageBytes);
    check(600);
    const during = store.frames;
    drain(store);
    expect(store.excessBytes).toBe(0);
    check(600);
    for (let i = 600; i < 650; i++) add(i);
    check(650);
    store.verify();
    expect(store.frames, 'those copied make room for others').toBe(during);
    store.endCheckpoint();
    check(650);
    store.verify();
  });

  it('a checkpoint that the disk does not keep up with takes little memory for good', () => {
    const disk = makeDisk();
    const cacheBytes = 4096 * pageBytes;
    const store = PageStore.create({ disk, path, cacheBytes });
    const pages = 3500;
    for (let id = 1; id <= pages; id++) {
      store.beginOp();
      fill(store, store.allocate(pageType.overflow), id & 255);
    }
    let table: PageTable | undefined;
    for (let round = 0; round < 3; round++) {
      store.beginCheckpoint();
      // Each page changes before it is its turn.
      for (let id = 1; id <= pages; id++) {
        store.beginOp();
        fill(store, id, (id + round + 1) & 255);
      }
      while (store.stepCheckpoint(100));
      const { ops, buffers } = store.takeCheckpointOps();
      expect(buffers.length).toBe(Math.ceil(pages / 128));
      expect(buffers.filter((b) => b.buffer instanceof SharedArrayBuffer).length, 'shared ones are used again').toBe(12);
      for (const op of ops) if (op.kind === 'write') op.file.write(op.bytes, op.position);
      store.giveBack(buffers);
      table = store.checkpointTable();
      store.endCheckpoint();
      store.verify();
    }
    const opened = PageStore.open({ disk, path, cacheBytes, table: table as PageTable });
    for (let id = 1; id <= pages; id++) expect(byteOf(opened, id)).toBe((id + 2) & 255);
  });

  it('each flipped bit of a page is noticed', () => {
    const disk = makeDisk();
    const store = PageStore.create({ disk, path, cacheBytes: 64 * pageBytes });
    store.beginOp();
    fill(store, store.allocate(pageType.overflow), 0x5a);
    store.beginCheckpoint();
    while (store.stepCheckpoint(10));
    drain(store);
    const table = store.checkpointTable();
    store.endCheckpoint();
    const file = store.file;
    const bytes = Buffer.alloc(pageBytes);
    file.read(bytes, 0);
    const reader = PageStore.open({ disk, path, cacheBytes: 64 * pageBytes, table });
    for (let bit = 0; bit < pageBytes * 8; bit++) {
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      file.write(bytes, 0);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      let noticed = false;
      try {
        reader.fetch(1);
      } catch (error) {
        noticed = error instanceof IndexPageError;
      }
      if (!noticed) throw new Error(`bit ${bit} was not noticed`);
    }
    file.write(bytes, 0);
    const opened = PageStore.open({ disk, path, cacheBytes: 64 * pageBytes, table });
    expect(byteOf(opened, 1)).toBe(0x5a);
  });
});
