// Rows copied by WebAssembly equal rows copied in TypeScript, and what is not sound is refused.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { encodeRow, recordHeader, rowRecordBytes, rowValue } from '../../../../src/server/storage/revlog/format.ts';
import { copierInputBytes, RowCopier } from '../../../../src/server/storage/revlog/row-copier.ts';
import { RowGather } from '../../../../src/server/storage/row-gather.ts';

const top = join(import.meta.dirname, '../../../..');
const random = new SeededRandom(7);
const copier = RowCopier.make() as RowCopier;

/** Puts a record into the copier's input. @returns its bytes */
function enter(at: number, main: number, tombstone: boolean, kv: Uint8Array): number {
  const size = rowRecordBytes(tombstone, kv.length);
  encodeRow(copier.input, at, size, main, 3, tombstone, kv);
  return size;
}

it('the module is made from its text', () => {
  execFileSync(process.execPath, [join(top, 'scripts/generate-wasm.mjs'), '--check']);
});

it('copies rows of every length from every offset', () => {
  const expected = new RowGather();
  const copied = new RowGather();
  const lengths = [...Array.from({ length: 300 }, (_, i) => i), 16_383, 16_384, 60_000, copierInputBytes - recordHeader - 20];
  for (const [i, length] of lengths.entries()) {
    const kv = Buffer.from(Array.from({ length }, () => random.u32() & 255));
    const main = random.u32() % 2 === 0 ? i + 1 : 2 ** 47 + random.u32();
    const tombstone = i % 5 === 4;
    const at = Math.min(i % 67, copierInputBytes - rowRecordBytes(tombstone, length));
    const size = enter(at, main, tombstone, kv);
    const value = rowValue(copier.input, at);
    expect(Buffer.compare(value, kv)).toBe(0);
    expected.add(value, 0, value.length);
    expect(copier.copy(at, size, main, copied)).toBe(true);
    if (i % 11 === 0) copier.flush(copied);
  }
  copier.flush(copied);
  expect(copied.count).toBe(lengths.length);
  expect(copied.bytes).toBe(expected.bytes);
  expect(Buffer.compare(Buffer.concat(copied.take()), Buffer.concat(expected.take()))).toBe(0);
});

it('refuses a record with any flipped bit, of another revision or of another length', () => {
  const into = new RowGather();
  const kv = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
  const size = enter(100, 70_000_000_001, false, kv);
  for (let bit = 0; bit < size * 8; bit++) {
    const at = 100 + (bit >> 3);
    copier.input[at] = (copier.input[at] as number) ^ (1 << (bit & 7));
    expect(copier.copy(100, size, 70_000_000_001, into)).toBe(false);
    copier.input[at] = (copier.input[at] as number) ^ (1 << (bit & 7));
  }
  expect(copier.copy(100, size, 70_000_000_002, into)).toBe(false);
  expect(copier.copy(100, size, 1, into)).toBe(false);
  expect(copier.copy(100, size - 1, 70_000_000_001, into)).toBe(false);
  expect(copier.pending).toBe(0);
  expect(copier.copy(100, size, 70_000_000_001, into)).toBe(true);
  copier.flush(into);
  expect(into.count).toBe(1);
});
