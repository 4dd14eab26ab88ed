/**
 * The memory that the event loop and a disk thread share.
 *
 * One ring of operations. The loop fills slots and raises `submitted`; the thread runs them in order, puts outcome and duration into the
 * slot and raises `completed` at the end of each job, or part of a long one. Both counters run freely and wrap at 32 bits; the slot of operation
 * n is n modulo `opSlots`. Bytes to write are not in the ring: an operation names one of `bufferSlots` shared buffers, made known by a message.
 */

/** Operations that may be under way in one thread; more wait on the loop. A WAL has at most ten in flight. */
export const opSlots = 256;
/** Shared buffers a thread knows at a time: 16 pieces of staging memory, and what the index and a rewrite write from where it is. */
export const bufferSlots = 64;

/** Places in `control`. */
export const submittedAt = 0;
export const completedAt = 1;
/** 1 while a wake-up message to the loop is under way: several jobs finished meanwhile share it. */
export const wokenAt = 2;
const controlInts = 16;

/** Integers of one operation: places in its row of `ops`. */
export const opInts = 8;
export const codeAt = 0;
export const fdAt = 1;
export const bufferSlotAt = 2;
export const bufferGenerationAt = 3;
export const offsetAt = 4;
export const lengthAt = 5;
/** Outcome: 0, or the negative errno as libuv numbers it. */
export const statusAt = 6;
/** `last`: whether the operation ends a job, or a part of one that goes on. */
export const lastAt = 7;
export const last = { no: 0, ofJob: 1, ofPart: 2 } as const;

export const opCode = { nothing: 0, write: 1, sync: 2, truncate: 3, allocate: 4, rename: 5, unlink: 6, syncDir: 7, exit: 8 } as const;

/** `errno` of an operation that was not run because an earlier one of its job failed. */
export const statusSkipped = 1;

export interface DiskRing {
  readonly control: Int32Array;
  readonly ops: Int32Array;
  /** Write position or file length, bytes. */
  readonly positions: Float64Array;
  /** What a sync took, milliseconds. */
  readonly durations: Float64Array;
}

export const ringBytes = controlInts * 4 + opSlots * (opInts * 4 + 8 + 8);

export function ringOver(memory: SharedArrayBuffer): DiskRing {
  const opsFrom = controlInts * 4;
  const positionsFrom = opsFrom + opSlots * opInts * 4;
  return {
    control: new Int32Array(memory, 0, controlInts),
    ops: new Int32Array(memory, opsFrom, opSlots * opInts),
    positions: new Float64Array(memory, positionsFrom, opSlots),
    durations: new Float64Array(memory, positionsFrom + opSlots * 8, opSlots),
  };
}

/** What the loop tells the thread besides the ring, in the order in which operations need it. */
export type RingMessage =
  { readonly buffer: SharedArrayBuffer; readonly slot: number; readonly generation: number } | { readonly paths: readonly string[] };

export interface DiskWorkerData {
  readonly memory: SharedArrayBuffer;
}
