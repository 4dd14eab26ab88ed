/**
 * Rows checked and copied by WebAssembly (row-copy.wat), where they lie in order in one stretch of a file: a third of the time that it takes
 * here, since nothing is made for a row and tables and bytes lie in one memory.
 */
import { makeCrc32cTables } from '../../../base/crc32c.ts';
import type { RowGather } from '../row-gather.ts';
import { rowCopyWasm } from './row-copy-wasm.ts';

/** Bytes of the stretch of a file that rows are copied from. */
export const copierInputBytes = 64 * 1024;
/** As in row-copy.wat: the tables, and the whole memory. */
const tableCount = 16;
const inputAt = tableCount * 1024;
const outputAt = inputAt + copierInputBytes;
const memoryBytes = 256 * 1024;
/** Output is handed over above this mark: behind it the largest row has room. */
const outputMark = memoryBytes - outputAt - copierInputBytes - 16;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  copyRow(at: number, size: number, mainHigh: number, mainLow: number, to: number): number;
}

/** The part of the global object that is used here: the language's own types leave it out. */
interface Assembly {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const two32 = 4294967296;

export class RowCopier {
  /** Rows are copied from here; whoever fills it knows what it holds. */
  readonly input: Buffer<ArrayBuffer>;
  readonly #memory: Buffer<ArrayBuffer>;
  readonly #copyRow: Exports['copyRow'];
  #to = outputAt;
  #lastAt = outputAt;
  #rows = 0;

  /** Undefined where there is no WebAssembly, or not the 8 GB of address space that V8 sets aside for its memory (`ulimit -v`). */
  static make(): RowCopier | undefined {
    const assembly = (globalThis as { readonly WebAssembly?: Assembly }).WebAssembly;
    try {
      return assembly === undefined ? undefined : new RowCopier(assembly);
    } catch {
      return undefined;
    }
  }

  private constructor({ Module, Instance }: Assembly) {
    const { memory, copyRow } = new Instance(new Module(Buffer.from(rowCopyWasm, 'base64'))).exports as Exports;
    this.#copyRow = copyRow;
    this.#memory = Buffer.from(memory.buffer);
    this.input = this.#memory.subarray(inputAt, outputAt);
    new Int32Array(memory.buffer, 0, tableCount * 256).set(makeCrc32cTables(tableCount));
  }

  /** Copies the row whose record takes `size` bytes of the input from `at` on. False when it is not sound, or not of that main revision. */
  copy(at: number, size: number, main: number, into: RowGather): boolean {
    if (this.#to - outputAt > outputMark) this.flush(into);
    const end = this.#copyRow(inputAt + at, size, Math.floor(main / two32), main | 0, this.#to);
    if (end < 0) return false;
    this.#lastAt = this.#to;
    this.#to = end;
    this.#rows++;
    return true;
  }

  /** Bytes copied and not yet handed over. */
  get pending(): number {
    return this.#to - outputAt;
  }

  /** Hands over what was copied. */
  flush(into: RowGather): void {
    if (this.#rows === 0) return;
    into.addFramed(this.#memory.subarray(outputAt, this.#to), this.#rows, this.#to - this.#lastAt);
    this.#to = outputAt;
    this.#rows = 0;
  }
}
