/**
 * Pages of the index: a cache of frames outside the JS heap over a file of slots, with copy-on-write checkpoints.
 *
 * A frame is clean (may be dropped), dirty (must be in the next checkpoint), pending (its content belongs to the checkpoint that runs, and
 * was not copied yet) or held (copied, but its write has not reached the file). A pending page that is about to change is copied first;
 * so the checkpoint shows one moment, whatever happens while it is written in slices.
 */
import { crc32 } from 'node:zlib';
import type { Disk, DiskFile, DiskOp } from '../../../base/disk.ts';
import { invariant } from '../../../base/invariant.ts';
import { IndexPageError, pageBytes, pageType } from './page-format.ts';

/** Frames per allocation: 1 MiB, so memory is taken as it is needed. */
const chunkFrames = 256;
const chunkShift = 8;
/** Pages per staging buffer, i.e. the longest single write of a checkpoint: 512 KiB, as many as a checkpoint copies at a time. */
const stagingPages = 128;
/**
 * Staging buffers in shared memory, kept for good: 6 MiB, what a checkpoint has on its way and what changes meanwhile. Beyond that (a slow disk)
 * copies lie in memory that is given up: shared memory comes back only when the collectors of both threads have run.
 */
const stagingKept = 12;
/** Frames looked at for one that may go: with nearly all of them dirty the cache rather grows than makes each miss a walk through it. */
const sweepMax = 512;
/** Below this a tree operation could run out of frames it does not itself hold. */
const framesMin = 64;

const clean = 0;
const dirty = 1;
const pending = 2;
const held = 4;

/** What a checkpoint descriptor keeps of the store. Arrays are owned by the receiver. */
export interface PageTable {
  /** Logical numbers below this are in use or free (slot 0). Number 0 is never used. */
  readonly pageCount: number;
  /** Slot + 1; 0 = free number. */
  readonly slots: Uint32Array;
  readonly crcs: Uint32Array;
  readonly slotCount: number;
}

interface RunningCheckpoint {
  readonly frames: Int32Array;
  next: number;
  /** Frames whose copies have reached the file. */
  written: number;
  readonly table: { pageCount: number; slots: Uint32Array; crcs: Uint32Array };
  /** Slots that are free once this checkpoint is durable. */
  readonly released: number[];
  ops: DiskOp[];
  opsBytes: number;
}

export class PageStore {
  /** Memory of frame f: `chunks[f >> 8]` from `(f & 255) << 12`. */
  readonly chunks: Buffer[] = [];
  readonly views: DataView[] = [];
  readonly #file: DiskFile;
  readonly #framesMax: number;
  /** While true, dirty pages may be written out at once to make room (build and rebuild: no checkpoint on disk depends on free slots). */
  spill: boolean;

  #frameOf = new Int32Array(1024).fill(-1);
  #slotOf = new Uint32Array(1024);
  #crcOf = new Uint32Array(1024);
  #pageCount = 1;
  #freePages: number[] = [];

  #pageOf = new Int32Array(0);
  #state = new Uint8Array(0);
  #recent = new Uint8Array(0);
  #stamp = new Uint32Array(0);
  #frames = 0;
  #freeFrames: number[] = [];
  #hand = 0;
  #op = 1;
  #dirtyCount = 0;

  #slotUsed = new Uint8Array(1024);
  #slotCount = 0;
  #slotsFree = 0;
  #slotHand = 0;
  #releaseNext: number[] = [];

  #checkpoint: RunningCheckpoint | undefined;
  #staging: Buffer | undefined;
  /** Filled since the writes were last taken. */
  #stagingFull: Buffer[] = [];
  /** Whose copies are in a staging buffer, in order. A frame is copied once at most in a checkpoint. */
  readonly #stagedFrames = new Map<Buffer, number[]>();
  /** Shared memory, so that a disk thread writes it from where it is. */
  readonly #stagingFree: Buffer[] = [];
  #stagingMade = 0;
  #stagingUsed = 0;
  #runStart = 0;
  #runSlot = -1;

  private constructor(file: DiskFile, cacheBytes: number, spill: boolean) {
    this.#file = file;
    this.#framesMax = Math.max(framesMin, Math.floor(cacheBytes / pageBytes));
    this.spill = spill;
  }

  /** An empty store; what the file held is dropped. No checkpoint descriptor may refer to it any more. */
  static create(options: { disk: Disk; path: string; cacheBytes: number }): PageStore {
    const file = options.disk.open(options.path, { write: true, create: true, truncate: true });
    return new PageStore(file, options.cacheBytes, true);
  }

  static open(options: { disk: Disk; path: string; cacheBytes: number; table: PageTable }): PageStore {
    const file = options.disk.open(options.path, { write: true });
    const store = new PageStore(file, options.cacheBytes, false);
    const { pageCount, slots, crcs, slotCount } = options.table;
    store.#growPages(pageCount);
    store.#pageCount = pageCount;
    store.#slotOf.set(slots);
    store.#crcOf.set(crcs);
    store.#slotCount = slotCount;
    store.#slotUsed = new Uint8Array(Math.max(1024, slotCount * 2));
    let used = 0;
    for (let id = 1; id < pageCount; id++) {
      const slot = slots[id] as number;
      if (slot === 0) store.#freePages.push(id);
      else {
        invariant(slot <= slotCount && store.#slotUsed[slot - 1] === 0, 'each slot belongs to one page', { id, slot });
        store.#slotUsed[slot - 1] = 1;
        used++;
      }
    }
    store.#slotsFree = slotCount - used;
    return store;
  }

  get file(): DiskFile {
    return this.#file;
  }
  get fileBytes(): number {
    return this.#slotCount * pageBytes;
  }
  get dirtyPages(): number {
    return this.#dirtyCount;
  }
  /** Beyond this a checkpoint should start early: an eighth of the cache stays for clean pages. */
  get dirtyPagesMax(): number {
    return this.#framesMax - (this.#framesMax >> 3);
  }
  get livePages(): number {
    return this.#pageCount - 1 - this.#freePages.length;
  }
  get pageCount(): number {
    return this.#pageCount;
  }
  get frames(): number {
    return this.#frames;
  }
  /** Memory beyond the cache's limit that cannot be given up: changes that wait for the disk. */
  get excessBytes(): number {
    const c = this.#checkpoint;
    const bound = this.#dirtyCount + (c === undefined ? 0 : c.frames.length - c.written);
    return Math.max(0, bound - this.#framesMax) * pageBytes;
  }

  /** Starts an operation: frames fetched from here on stay put until the next call. */
  beginOp(): void {
    this.#op = (this.#op + 1) >>> 0;
  }

  /** The frame of a page, loaded when it is not in memory. @throws IndexPageError */
  fetch(id: number): number {
    const f = this.#frameOf[id] as number;
    if (f >= 0) {
      this.#stamp[f] = this.#op;
      this.#recent[f] = 1;
      return f;
    }
    return this.#load(id);
  }

  /** As `fetch`, for a page about to be changed. */
  touch(id: number): number {
    const f = this.fetch(id);
    const s = this.#state[f] as number;
    if ((s & dirty) === 0) {
      if (s & pending) this.#copyOut(f);
      this.#state[f] = (this.#state[f] as number) | dirty;
      this.#dirtyCount++;
    }
    return f;
  }

  /** A zeroed page of its own, dirty. */
  allocate(type: number): number {
    const f = this.#takeFrame();
    let id = this.#freePages.pop();
    if (id === undefined) {
      id = this.#pageCount;
      this.#growPages(id + 1);
      this.#pageCount = id + 1;
    }
    this.#bind(f, id);
    this.#state[f] = dirty;
    this.#dirtyCount++;
    const b = this.chunks[f >> chunkShift] as Buffer;
    const o = (f & (chunkFrames - 1)) * pageBytes;
    b.fill(0, o, o + pageBytes);
    const v = this.views[f >> chunkShift] as DataView;
    v.setUint32(o, id, true);
    v.setUint8(o + 4, type);
    if (type === pageType.leaf || type === pageType.branch) v.setUint16(o + 8, pageBytes, true);
    return id;
  }

  free(id: number): void {
    const f = this.#frameOf[id] as number;
    if (f >= 0) {
      const s = this.#state[f] as number;
      if (s & pending) this.#copyOut(f);
      if (s & dirty) this.#dirtyCount--;
      this.#state[f] = clean;
      this.#frameOf[id] = -1;
      this.#pageOf[f] = -1;
      this.#freeFrames.push(f);
    }
    const slot = this.#slotOf[id] as number;
    if (slot !== 0) {
      if (this.spill) this.#freeSlot(slot - 1);
      else this.#releaseNext.push(slot - 1);
    }
    this.#slotOf[id] = 0;
    this.#freePages.push(id);
  }

  // Checkpoints.

  /** Fixes the content to be written: everything as of now. */
  beginCheckpoint(): void {
    invariant(this.#checkpoint === undefined, 'one checkpoint at a time');
    const frames = new Int32Array(this.#dirtyCount);
    let n = 0;
    for (let f = 0; f < this.#frames; f++)
      if ((this.#state[f] as number) & dirty) {
        this.#state[f] = pending;
        frames[n++] = f;
      }
    invariant(n === this.#dirtyCount, 'dirty pages are counted', { n, counted: this.#dirtyCount });
    this.#dirtyCount = 0;
    const pageCount = this.#pageCount;
    this.#checkpoint = {
      frames,
      next: 0,
      written: 0,
      table: { pageCount, slots: this.#slotOf.slice(0, pageCount), crcs: this.#crcOf.slice(0, pageCount) },
      released: this.#releaseNext,
      ops: [],
      opsBytes: 0,
    };
    this.#releaseNext = [];
    this.#slotHand = 0;
    this.spill = false;
  }

  /** Copies up to `pages` pages into staging. False when all are copied. */
  stepCheckpoint(pages: number): boolean {
    const c = this.#running();
    let left = pages;
    while (left > 0 && c.next < c.frames.length) {
      const f = c.frames[c.next++] as number;
      if ((this.#state[f] as number) & pending) {
        this.#copyOut(f);
        left--;
      }
    }
    return c.next < c.frames.length;
  }

  /** The writes of these are done: their pages can be read from the file, and the memory may be used again. */
  giveBack(buffers: readonly Buffer[]): void {
    for (const b of buffers) {
      const frames = this.#stagedFrames.get(b) ?? [];
      this.#stagedFrames.delete(b);
      for (const f of frames) this.#state[f] = (this.#state[f] as number) & ~held;
      if (this.#checkpoint !== undefined) this.#checkpoint.written += frames.length;
      if (b.buffer instanceof SharedArrayBuffer) this.#stagingFree.push(b);
    }
  }

  /** Writes that are ready to go, how many bytes they hold, and their memory, to be given back when they are done. */
  takeCheckpointOps(): { ops: DiskOp[]; bytes: number; buffers: Buffer[] } {
    const c = this.#running();
    this.#endRun();
    if (this.#staging !== undefined) this.#stagingFull.push(this.#staging);
    this.#staging = undefined;
    const taken = { ops: c.ops, bytes: c.opsBytes, buffers: this.#stagingFull };
    this.#stagingFull = [];
    c.ops = [];
    c.opsBytes = 0;
    return taken;
  }

  /** The table to be written into the descriptor, once `stepCheckpoint` is through. */
  checkpointTable(): PageTable {
    const c = this.#running();
    return { ...c.table, slotCount: this.#slotCount };
  }

  /** The descriptor is durable: the former checkpoint's slots are free. */
  endCheckpoint(): void {
    const c = this.#running();
    for (const slot of c.released) this.#freeSlot(slot);
    this.#checkpoint = undefined;
    this.#shrink();
  }

  get checkpointing(): boolean {
    return this.#checkpoint !== undefined;
  }

  close(): void {
    this.#file.close();
  }

  /** Costly check: the bookkeeping of frames, pages and slots agrees. */
  verify(): void {
    let dirtyCount = 0;
    for (let f = 0; f < this.#frames; f++) {
      const id = this.#pageOf[f] as number;
      if (id >= 0) invariant(this.#frameOf[id] === f, 'frame and page point at each other', { f, id });
      if ((this.#state[f] as number) & dirty) dirtyCount++;
    }
    invariant(dirtyCount === this.#dirtyCount, 'dirty frames are counted', { dirtyCount, counted: this.#dirtyCount });
    const seen = new Set<number>();
    for (let id = 1; id < this.#pageCount; id++) {
      const slot = this.#slotOf[id] as number;
      if (slot === 0) continue;
      invariant(!seen.has(slot), 'each slot belongs to one page', { id, slot });
      invariant(this.#slotUsed[slot - 1] === 1, 'slots of pages are marked used', { id, slot });
      seen.add(slot);
    }
    let used = 0;
    for (let s = 0; s < this.#slotCount; s++) used += this.#slotUsed[s] as number;
    invariant(used === this.#slotCount - this.#slotsFree, 'free slots are counted', { used });
  }

  #running(): RunningCheckpoint {
    const c = this.#checkpoint;
    invariant(c !== undefined, 'a checkpoint runs');
    return c;
  }

  /** Copies a pending page into staging, at a slot of its own. */
  #copyOut(f: number): void {
    const c = this.#running();
    const id = this.#pageOf[f] as number;
    const slot = this.#allocateSlot();
    const old = this.#slotOf[id] as number;
    if (old !== 0) c.released.push(old - 1);
    const b = this.chunks[f >> chunkShift] as Buffer;
    const o = (f & (chunkFrames - 1)) * pageBytes;
    if (this.#staging === undefined || this.#stagingUsed === stagingPages * pageBytes) {
      this.#endRun();
      if (this.#staging !== undefined) this.#stagingFull.push(this.#staging);
      this.#staging = this.#takeStaging();
      this.#stagedFrames.set(this.#staging, []);
      this.#stagingUsed = 0;
      this.#runStart = 0;
    } else if (slot !== this.#runSlot + (this.#stagingUsed - this.#runStart) / pageBytes) this.#endRun();
    if (this.#runSlot < 0) {
      this.#runSlot = slot;
      this.#runStart = this.#stagingUsed;
    }
    const at = this.#stagingUsed;
    b.copy(this.#staging, at, o, o + pageBytes);
    (this.#stagedFrames.get(this.#staging) as number[]).push(f);
    this.#stagingUsed = at + pageBytes;
    const crc = crc32(b.subarray(o, o + pageBytes));
    this.#slotOf[id] = slot + 1;
    this.#crcOf[id] = crc;
    c.table.slots[id] = slot + 1;
    c.table.crcs[id] = crc;
    this.#state[f] = held;
  }

  #takeStaging(): Buffer {
    const free = this.#stagingFree.pop();
    if (free !== undefined) return free;
    if (this.#stagingMade === stagingKept) return Buffer.allocUnsafeSlow(stagingPages * pageBytes);
    this.#stagingMade++;
    return Buffer.from(new SharedArrayBuffer(stagingPages * pageBytes));
  }

  #endRun(): void {
    if (this.#runSlot < 0 || this.#staging === undefined) return;
    const c = this.#running();
    const bytes = this.#staging.subarray(this.#runStart, this.#stagingUsed);
    c.ops.push({ kind: 'write', file: this.#file, bytes, position: this.#runSlot * pageBytes });
    c.opsBytes += bytes.length;
    this.#runSlot = -1;
    this.#runStart = this.#stagingUsed;
  }

  #load(id: number): number {
    const slot = this.#slotOf[id] ?? 0;
    const offset = (slot - 1) * pageBytes;
    if (slot === 0 || id <= 0 || id >= this.#pageCount)
      throw new IndexPageError({ path: this.#file.path, offset: 0, what: `page ${id} is not there` });
    const f = this.#takeFrame();
    const b = this.chunks[f >> chunkShift] as Buffer;
    const o = (f & (chunkFrames - 1)) * pageBytes;
    const into = b.subarray(o, o + pageBytes);
    const n = this.#file.read(into, offset);
    if (n !== pageBytes || crc32(into) !== this.#crcOf[id] || into.readUInt32LE(0) !== id) {
      this.#freeFrames.push(f);
      throw new IndexPageError({ path: this.#file.path, offset, what: `page ${id}: checksum mismatch` });
    }
    this.#bind(f, id);
    this.#state[f] = clean;
    return f;
  }

  #bind(f: number, id: number): void {
    this.#frameOf[id] = f;
    this.#pageOf[f] = id;
    this.#stamp[f] = this.#op;
    this.#recent[f] = 1;
  }

  #takeFrame(): number {
    const free = this.#freeFrames.pop();
    if (free !== undefined) return free;
    if (this.#frames >= this.#framesMax) {
      const f = this.#evict();
      if (f >= 0) return f;
    }
    return this.#growFrames();
  }

  /** A second-chance sweep. −1 when every frame is in use or must not go: the cache then grows past its limit until the next checkpoint. */
  #evict(): number {
    for (let left = Math.min(this.#frames * 2, sweepMax); left > 0; left--) {
      const f = this.#hand;
      this.#hand = f + 1 === this.#frames ? 0 : f + 1;
      if ((this.#pageOf[f] as number) < 0 || this.#stamp[f] === this.#op) continue;
      const s = this.#state[f] as number;
      if (s !== clean && !(this.spill && s === dirty)) continue;
      if (this.#recent[f] === 1) {
        this.#recent[f] = 0;
        continue;
      }
      if (s === dirty) this.#writeNow(f);
      this.#frameOf[this.#pageOf[f] as number] = -1;
      this.#pageOf[f] = -1;
      return f;
    }
    return -1;
  }

  #writeNow(f: number): void {
    const id = this.#pageOf[f] as number;
    const old = this.#slotOf[id] as number;
    const slot = old !== 0 ? old - 1 : this.#allocateSlot();
    const b = this.chunks[f >> chunkShift] as Buffer;
    const o = (f & (chunkFrames - 1)) * pageBytes;
    const bytes = b.subarray(o, o + pageBytes);
    this.#slotOf[id] = slot + 1;
    this.#crcOf[id] = crc32(bytes);
    this.#file.write(bytes, slot * pageBytes);
    this.#state[f] = clean;
    this.#dirtyCount--;
  }

  /** Gives back what was taken beyond the limit, from the end, as far as it is clean. */
  #shrink(): void {
    for (;;) {
      const first = (this.chunks.length - 1) * chunkFrames;
      if (first < this.#framesMax) return;
      for (let f = first; f < this.#frames; f++) if (this.#state[f] !== clean || this.#stamp[f] === this.#op) return;
      for (let f = first; f < this.#frames; f++) {
        const id = this.#pageOf[f] as number;
        if (id >= 0) this.#frameOf[id] = -1;
        this.#pageOf[f] = -1;
      }
      this.#freeFrames = this.#freeFrames.filter((f) => f < first);
      this.#frames = first;
      this.#hand = 0;
      this.chunks.pop();
      this.views.pop();
    }
  }

  #growFrames(): number {
    const f = this.#frames;
    if (f === this.#pageOf.length) {
      const size = f + chunkFrames;
      this.#pageOf = grow(this.#pageOf, new Int32Array(size).fill(-1));
      this.#state = grow(this.#state, new Uint8Array(size));
      this.#recent = grow(this.#recent, new Uint8Array(size));
      this.#stamp = grow(this.#stamp, new Uint32Array(size));
    }
    if (f >> chunkShift === this.chunks.length) {
      const memory = new ArrayBuffer(chunkFrames * pageBytes);
      this.chunks.push(Buffer.from(memory));
      this.views.push(new DataView(memory));
    }
    this.#frames = f + 1;
    return f;
  }

  #growPages(count: number): void {
    if (count <= this.#frameOf.length) return;
    const size = Math.max(count, this.#frameOf.length * 2);
    this.#frameOf = grow(this.#frameOf, new Int32Array(size).fill(-1));
    this.#slotOf = grow(this.#slotOf, new Uint32Array(size));
    this.#crcOf = grow(this.#crcOf, new Uint32Array(size));
  }

  /** Lowest free slot behind the previous one, so that a checkpoint's pages lie in runs. */
  #allocateSlot(): number {
    if (this.#slotsFree > 0) {
      for (let s = this.#slotHand; s < this.#slotCount; s++)
        if (this.#slotUsed[s] === 0) {
          this.#slotUsed[s] = 1;
          this.#slotsFree--;
          this.#slotHand = s + 1;
          return s;
        }
      this.#slotHand = this.#slotCount;
    }
    const s = this.#slotCount++;
    if (s >= this.#slotUsed.length) this.#slotUsed = grow(this.#slotUsed, new Uint8Array(s * 2));
    this.#slotUsed[s] = 1;
    this.#slotHand = s + 1;
    return s;
  }

  #freeSlot(slot: number): void {
    this.#slotUsed[slot] = 0;
    this.#slotsFree++;
  }
}

function grow<T extends Int32Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Offset of a frame's memory inside its chunk. */
export function frameBase(f: number): number {
  return (f & (chunkFrames - 1)) * pageBytes;
}
export function frameChunk(f: number): number {
  return f >> chunkShift;
}
