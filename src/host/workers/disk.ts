/**
 * A disk thread: runs operations one after another with synchronous calls on raw file descriptors, so that nothing on libuv's shared pool
 * can delay them. Sleeps on shared memory while there is nothing to do.
 */
import * as fs from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import * as ring from '../disk-ring.ts';

/** Zeros written at a time when space is reserved. */
const allocateStepBytes = 1 << 20;
/** An error without an errno (a bug in this file): EIO. */
const errnoUnknown = -5;

const port = parentPort as NonNullable<typeof parentPort>;
const { control, ops, positions, durations } = ring.ringOver((workerData as ring.DiskWorkerData).memory);
const buffers: { bytes: Uint8Array; generation: number }[] = [];
let zeros: Uint8Array | undefined;

run();

function run(): void {
  let next = 0;
  /** Whether an operation of this job failed: the others are left out. */
  let failed = false;
  for (;;) {
    while (Atomics.load(control, ring.submittedAt) === next) Atomics.wait(control, ring.submittedAt, next);
    for (;;) {
      const slot = (next & (ring.opSlots - 1)) >>> 0;
      const at = slot * ring.opInts;
      const code = ops[at + ring.codeAt] as number;
      if (code === ring.opCode.exit) return;
      if (failed) {
        if (code >= ring.opCode.rename) nextPaths();
        ops[at + ring.statusAt] = ring.statusSkipped;
      } else {
        const status = perform(code, at, slot);
        ops[at + ring.statusAt] = status;
        failed = status !== 0;
      }
      next = (next + 1) | 0;
      const last = ops[at + ring.lastAt] as number;
      if (last === ring.last.ofJob) failed = false;
      if (last !== ring.last.no) break;
    }
    Atomics.store(control, ring.completedAt, next);
    if (Atomics.exchange(control, ring.wokenAt, 1) === 0) port.postMessage(null);
  }
}

function perform(code: number, at: number, slot: number): number {
  const fd = ops[at + ring.fdAt] as number;
  const position = positions[slot] as number;
  try {
    switch (code) {
      case ring.opCode.write: {
        const bytes = bufferOf(ops[at + ring.bufferSlotAt] as number, ops[at + ring.bufferGenerationAt] as number);
        writeAll(fd, bytes, ops[at + ring.offsetAt] as number, ops[at + ring.lengthAt] as number, position);
        break;
      }
      case ring.opCode.sync: {
        const start = performance.now();
        fs.fdatasyncSync(fd);
        durations[slot] = performance.now() - start;
        break;
      }
      case ring.opCode.truncate:
        fs.ftruncateSync(fd, position);
        break;
      case ring.opCode.allocate:
        allocate(fd, position);
        break;
      case ring.opCode.rename: {
        const [from, to] = nextPaths();
        fs.renameSync(from as string, to as string);
        break;
      }
      case ring.opCode.unlink:
        fs.unlinkSync(nextPaths()[0] as string);
        break;
      case ring.opCode.syncDir: {
        const path = nextPaths()[0] as string;
        const start = performance.now();
        const dir = fs.openSync(path, 'r');
        try {
          fs.fsyncSync(dir);
        } finally {
          fs.closeSync(dir);
        }
        durations[slot] = performance.now() - start;
        break;
      }
    }
    return 0;
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno;
    return errno === undefined || errno >= 0 ? errnoUnknown : errno;
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): void {
  let done = 0;
  while (done < length) done += fs.writeSync(fd, bytes, offset + done, length - done, position + done);
}

function allocate(fd: number, upTo: number): void {
  zeros ??= new Uint8Array(allocateStepBytes);
  for (let at = fs.fstatSync(fd).size; at < upTo;) {
    const n = Math.min(allocateStepBytes, upTo - at);
    writeAll(fd, zeros, 0, n, at);
    at += n;
  }
}

/** Waits for nothing: the loop sends a message before the operation that needs it. */
function nextMessage(): ring.RingMessage {
  for (;;) {
    const received = receiveMessageOnPort(port) as { message: ring.RingMessage } | undefined;
    if (received !== undefined) return received.message;
  }
}

function learn(message: Extract<ring.RingMessage, { buffer: unknown }>): void {
  buffers[message.slot] = { bytes: new Uint8Array(message.buffer), generation: message.generation };
}

function nextPaths(): readonly string[] {
  for (;;) {
    const message = nextMessage();
    if ('paths' in message) return message.paths;
    // Meant for a write that was skipped.
    learn(message);
  }
}

function bufferOf(slot: number, generation: number): Uint8Array {
  for (;;) {
    const known = buffers[slot];
    if (known !== undefined && known.generation === generation) return known.bytes;
    const message = nextMessage();
    if ('paths' in message) throw new Error('messages come in the order of their operations');
    learn(message);
  }
}
