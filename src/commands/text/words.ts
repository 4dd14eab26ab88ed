/** Splits a line into words as etcdctl's interactive commands do: blanks separate, quotes group; double-quoted text has escapes. */
import { NumberError } from './go-numbers.ts';
import { fromBytes } from './quote.ts';

/** Words of a txn or watch line. */
export function splitLine(line: string): string[] {
  return (line.match(/'[^']*'|"(?:\\.|[^"\\])*"|\S+/g) ?? []).map(unquoteWord);
}

function unquoteWord(word: string): string {
  if (word.length >= 2 && word.startsWith("'") && word.endsWith("'")) return word.slice(1, -1);
  if (word.length >= 2 && word.startsWith('"') && word.endsWith('"')) {
    try {
      return unquote(word);
    } catch (error) {
      if (!(error instanceof NumberError)) throw error;
      return word;
    }
  }
  return word;
}

const simple: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '\\': 92, '"': 34 };

/** The text of a double-quoted word, bytes that are no UTF-8 as lone surrogates (`toBytes`). @throws NumberError */
export function unquote(word: string): string {
  const bad = (): never => {
    throw new NumberError('invalid syntax');
  };
  if (word.length < 2 || !word.startsWith('"') || !word.endsWith('"')) bad();
  const parts: Buffer[] = [];
  const body = word.slice(1, -1);
  for (let i = 0; i < body.length;) {
    const char = String.fromCodePoint(body.codePointAt(i) ?? 0);
    if (char === '"' || char === '\n') bad();
    if (char !== '\\') {
      parts.push(Buffer.from(char, 'utf8'));
      i += char.length;
      continue;
    }
    const next = body.charAt(i + 1);
    const code = simple[next];
    if (code !== undefined) {
      parts.push(Buffer.from([code]));
      i += 2;
      continue;
    }
    const rest = body.slice(i + 1);
    const byte = /^(?:x([0-9a-fA-F]{2})|([0-7]{3}))/.exec(rest);
    const rune = /^(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(rest);
    if (byte !== null) {
      const value = byte[1] === undefined ? parseInt(byte[2] ?? '', 8) : parseInt(byte[1], 16);
      if (value > 255) bad();
      parts.push(Buffer.from([value]));
      i += 1 + byte[0].length;
    } else if (rune !== null) {
      const value = parseInt(rune[1] ?? rune[2] ?? '', 16);
      if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) bad();
      parts.push(Buffer.from(String.fromCodePoint(value), 'utf8'));
      i += 1 + rune[0].length;
    } else bad();
  }
  return fromBytes(Buffer.concat(parts));
}

/** `1 key`, `2 keys`. */
export function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
