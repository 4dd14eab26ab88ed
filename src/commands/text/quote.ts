/** Bytes as text: quoted as etcd's tools quote them, in hexadecimal, and arguments that were no UTF-8 to begin with. */
import { asBuffer } from '../../base/bytes.ts';
import { goEscapes } from '../../base/go-escapes.ts';

const escapes: Readonly<Record<number, string>> = { ...goEscapes, 34: '\\"' };

/** Letters, marks, numbers, punctuation, symbols and the plain blank are printable; other blanks are not. */
const printableCharacter = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** In double quotes, with Go's escapes: what does not print or is no UTF-8 is escaped. */
export function quote(value: Uint8Array | string): string {
  const bytes = typeof value === 'string' ? toBytes(value) : value;
  const b = asBuffer(bytes);
  let out = '"';
  for (let i = 0; i < b.length;) {
    const byte = b[i] ?? 0;
    if (byte < 0x80) {
      out += escapes[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`);
      i++;
      continue;
    }
    const length = runeLength(b, i);
    if (length === 0) {
      out += `\\x${byte.toString(16).padStart(2, '0')}`;
      i++;
      continue;
    }
    const char = b.utf8Slice(i, i + length);
    const code = char.codePointAt(0) ?? 0;
    if (printableCharacter.test(char)) out += char;
    else out += code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
    i += length;
  }
  return `${out}"`;
}

/** Bytes of the UTF-8 character at `i`; 0 when there is none. */
export function runeLength(b: Uint8Array, i: number): number {
  const first = b[i] ?? 0;
  const at = (k: number): number => b[i + k] ?? 0;
  const tail = (k: number): boolean => (at(k) & 0xc0) === 0x80;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    if (!tail(1) || !tail(2)) return 0;
    if (first === 0xe0 && at(1) < 0xa0) return 0;
    return first === 0xed && at(1) > 0x9f ? 0 : 3;
  }
  if (first >= 0xf0 && first < 0xf5) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first === 0xf0 && at(1) < 0x90) return 0;
    return first === 0xf4 && at(1) > 0x8f ? 0 : 4;
  }
  return 0;
}

/** Whether bytes are valid UTF-8. */
export function isText(b: Uint8Array): boolean {
  for (let i = 0; i < b.length;) {
    const n = runeLength(b, i);
    if (n === 0) return false;
    i += n;
  }
  return true;
}

/** Text as it is where it is printable, in quotes where not: for people. */
export function printable(bytes: Uint8Array): string {
  const quoted = quote(bytes);
  const text = fromBytes(bytes);
  return quoted.slice(1, -1) === text ? text : quoted;
}

/** `\x61\x62`, as `--hex` prints. */
export function hexText(bytes: Uint8Array): string {
  let out = '';
  for (const b of bytes) out += b < 16 ? `\\x0${b.toString(16)}` : `\\x${b.toString(16)}`;
  return out;
}

/**
 * The bytes of an argument. A byte that was no UTF-8 on the command line travels as the lone surrogate U+DC80 + (byte − 0x80), which valid
 * text cannot contain.
 */
export function toBytes(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(char, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** The opposite of `toBytes`. */
export function fromBytes(bytes: Uint8Array): string {
  const b = asBuffer(bytes);
  let out = '';
  let start = 0;
  for (let i = 0; i < b.length;) {
    const length = runeLength(b, i);
    if (length > 0) {
      i += length;
      continue;
    }
    out += b.utf8Slice(start, i) + String.fromCharCode(0xdc00 + (b[i] ?? 0));
    start = ++i;
  }
  return out + b.utf8Slice(start, b.length);
}

/** C0 but tab and newline, DEL, and the C1 controls as UTF-8 writes them. */
const controls = /[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/g;

/** Bytes as a terminal may see them: what would move its cursor or change its state is shown as `\\x1b` instead. A pipe gets them as they are. */
export function forTerminal(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const safe = text.replace(controls, (c) => [...c].map((one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`).join(''));
  return safe === text ? bytes : Buffer.from(safe, 'latin1');
}
