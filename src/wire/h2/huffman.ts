/**
 * Huffman decoding of header strings, eight bits at a time: a tree of tables with 256 places, in one flat array. A place holds a symbol and
 * the bits that it uses up, or the number of the next table.
 */
import { huffman } from './hpack-tables.ts';

const isTable = 1 << 20;
/** Place: `isTable | table`, or `symbol << 4 | bits` (bits 1 to 8), or 0 where no code leads (EOS). */
let tables = new Int32Array(0);

function build(): void {
  const places: number[] = new Array<number>(256).fill(0);
  for (let symbol = 0; symbol < 256; symbol++) {
    const code = huffman.codes[symbol] as number;
    let left = huffman.lengths[symbol] as number;
    let table = 0;
    while (left > 8) {
      left -= 8;
      const at = table * 256 + ((code >>> left) & 255);
      if (places[at] === 0) {
        places[at] = isTable | (places.length / 256);
        for (let i = 0; i < 256; i++) places.push(0);
      }
      table = (places[at] as number) & ~isTable;
    }
    const first = (code << (8 - left)) & 255;
    for (let i = 0; i < 1 << (8 - left); i++) places[table * 256 + first + i] = (symbol << 4) | left;
  }
  tables = Int32Array.from(places);
}

/** Longest header string that is decoded in place; longer ones get a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(4_096);

/** The text in latin1 of `b[start, end)`; undefined when it is no valid code (bad padding, EOS). */
export function huffmanDecode(b: Uint8Array, start: number, end: number): string | undefined {
  if (tables.length === 0) build();
  // The shortest code has five bits.
  const outMax = Math.ceil(((end - start) * 8) / 5);
  const out = outMax <= scratch.length ? scratch : Buffer.allocUnsafe(outMax);
  let n = 0;
  let table = 0;
  let bits = 0;
  let bitCount = 0;
  /** Bits since the last symbol: what is left at the end is padding. */
  let pending = 0;
  for (let p = start; p < end; p++) {
    bits = ((bits << 8) | (b[p] as number)) & 0xffff;
    bitCount += 8;
    pending += 8;
    while (bitCount >= 8) {
      const place = tables[table * 256 + ((bits >>> (bitCount - 8)) & 255)] as number;
      if (place === 0) return undefined;
      if (place >= isTable) {
        table = place & ~isTable;
        bitCount -= 8;
      } else {
        out[n++] = place >>> 4;
        bitCount -= place & 15;
        pending = bitCount;
        table = 0;
      }
    }
  }
  // The rest may still hold one symbol, or only padding.
  while (bitCount > 0) {
    const place = tables[table * 256 + ((bits << (8 - bitCount)) & 255)] as number;
    if (place === 0 || place >= isTable || (place & 15) > bitCount) break;
    out[n++] = place >>> 4;
    bitCount -= place & 15;
    pending = bitCount;
    table = 0;
  }
  // Padding: fewer than eight bits, the first ones of EOS (all ones).
  if (pending > 7 || (bits & ((1 << pending) - 1)) !== (1 << pending) - 1) return undefined;
  return out.latin1Slice(0, n);
}
