/** Byte strings: order, conversion, fixed-width integers. */

declare global {
  // Buffer's direct encoders, present in every Node release and missing from its type declarations.
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number;
    latin1Write(text: string, offset?: number, length?: number): number;
    utf8Slice(start?: number, end?: number): string;
    latin1Slice(start?: number, end?: number): string;
  }
}

export const emptyBytes = new Uint8Array(0);

/** Unsigned byte order, shorter first on a tie: etcd's key order. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** A `Uint8Array` seen as a Buffer over the same memory. */
export function asBuffer(b: Uint8Array): Buffer {
  return b instanceof Buffer ? b : Buffer.from(b.buffer, b.byteOffset, b.byteLength);
}

/** One character a byte: for map keys. */
export function latin1(b: Uint8Array): string {
  return asBuffer(b).latin1Slice(0, b.length);
}

export function fromLatin1(s: string): Uint8Array {
  return Buffer.from(s, 'latin1');
}

export function utf8(s: string): Uint8Array {
  return Buffer.from(s, 'utf8');
}

export function utf8Text(b: Uint8Array): string {
  return asBuffer(b).utf8Slice(0, b.length);
}

/** A copy that shares no memory with its source. */
export function copyBytes(b: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafeSlow(b.length);
  out.set(b);
  return out;
}

/** The end of the range of keys with this prefix; a single zero byte ("no end") when the prefix is all 0xff or empty. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] ?? 0;
    if (byte < 0xff) {
      const end = copyBytes(prefix.subarray(0, i + 1));
      end[i] = byte + 1;
      return end;
    }
  }
  return new Uint8Array(1);
}
