/**
 * A JSON reader that keeps what `JSON.parse` loses and the protobuf mapping needs: numbers as written (64 bits), repeated names, positions,
 * and where a value ends, since a body may hold several one after the other.
 */
import { goEscapes } from '../../base/go-escapes.ts';

/** Nesting beyond which a text is refused; a txn of a txn of … is at most --max-txn-ops deep, two levels of JSON each. */
export const jsonDepthMax = 1000;

export type JsonNode =
  | { readonly kind: 'null' | 'true' | 'false'; readonly at: number }
  | { readonly kind: 'number'; readonly at: number; readonly raw: string }
  | { readonly kind: 'string'; readonly at: number; readonly raw: string; readonly value: string }
  | { readonly kind: 'array'; readonly at: number; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly at: number; readonly entries: readonly JsonEntry[] };

export interface JsonEntry {
  readonly name: string;
  readonly at: number;
  readonly value: JsonNode;
}

/** The text is not JSON, or not what the message wants. The message names what and, where it helps, the place. */
export class JsonError extends Error {
  readonly code = 'json';
}

/** The text ends inside a value: more may come. */
export class JsonEnd extends JsonError {
  constructor() {
    super('unexpected EOF');
  }
}

/** `(line 1:15)`, counted from 1, as protobuf's own messages have it. */
export function placeOf(text: string, at: number): string {
  let line = 1;
  let start = 0;
  for (let i = text.indexOf('\n'); i >= 0 && i < at; i = text.indexOf('\n', i + 1)) {
    line++;
    start = i + 1;
  }
  // Columns are code points.
  return `(line ${line}:${[...text.slice(start, at)].length + 1})`;
}

const digits = /[0-9]*/y;
const plainChars = /[^"\\\u0000-\u001f]*/y;
const escapes: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

export class JsonReader {
  readonly #text: string;
  /** Where the text as bytes was not UTF-8 first; a string there is refused. */
  readonly #badAt: number;
  /** Where the next value is looked for. */
  position: number;

  constructor(text: string, position = 0, badAt = -1) {
    this.#text = text;
    this.#badAt = badAt;
    this.position = position;
  }

  /** Skips blanks; true when nothing else is left. */
  atEnd(): boolean {
    this.#blanks();
    return this.position >= this.#text.length;
  }

  /** The next value. @throws JsonEnd when it is cut off; a number at the very end of the text counts as whole. @throws JsonError */
  next(): JsonNode {
    return this.#value(0);
  }

  #blanks(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.position);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.position++;
    }
  }

  #unexpected(where: string): never {
    if (this.position >= this.#text.length) throw new JsonEnd();
    throw new JsonError(`invalid character ${quoted(this.#text, this.position)} ${where}`);
  }

  #value(depth: number): JsonNode {
    this.#blanks();
    const at = this.position;
    const c = this.#text[at];
    if (depth >= jsonDepthMax && (c === '{' || c === '[')) throw new JsonError(`invalid character '${c}' exceeded max depth`);
    switch (c) {
      case '{':
        return this.#object(at, depth);
      case '[':
        return this.#array(at, depth);
      case '"': {
        const value = this.#string();
        return { kind: 'string', at, value, raw: this.#text.slice(at, this.position) };
      }
      case 'n':
        return this.#word('null', at);
      case 't':
        return this.#word('true', at);
      case 'f':
        return this.#word('false', at);
      default:
        return this.#number(at, depth);
    }
  }

  /** Go's words for what breaks a number off. Inside another value a number never ends the text: more digits may come. */
  #number(at: number, depth: number): JsonNode {
    const text = this.#text;
    const c = text[at] ?? '';
    if (c !== '-' && (c < '0' || c > '9')) return this.#unexpected('looking for beginning of value');
    let end = at + (c === '-' ? 1 : 0);
    const run = (where: string): void => {
      digits.lastIndex = end;
      const n = digits.exec(text)?.[0].length ?? 0;
      this.position = end;
      if (n === 0) this.#unexpected(where);
      end += n;
    };
    if (text[end] === '0') end++;
    else run('in numeric literal');
    if (text[end] === '.') {
      end++;
      run('after decimal point in numeric literal');
    }
    if (text[end] === 'e' || text[end] === 'E') {
      end++;
      if (text[end] === '+' || text[end] === '-') end++;
      run('in exponent of numeric literal');
    }
    if (depth > 0 && end === text.length) throw new JsonEnd();
    this.position = end;
    return { kind: 'number', at, raw: text.slice(at, end) };
  }

  #word<K extends 'null' | 'true' | 'false'>(word: K, at: number): JsonNode {
    if (this.#text.startsWith(word, at)) {
      this.position = at + word.length;
      return { kind: word, at };
    }
    if (word.startsWith(this.#text.slice(at))) throw new JsonEnd();
    this.position = at + 1;
    return this.#unexpected(`in literal ${word}`);
  }

  #object(at: number, depth: number): JsonNode {
    const entries: JsonEntry[] = [];
    this.position++;
    this.#blanks();
    if (this.#text[this.position] === '}') {
      this.position++;
      return { kind: 'object', at, entries };
    }
    for (;;) {
      this.#blanks();
      const nameAt = this.position;
      if (this.#text[nameAt] !== '"') this.#unexpected('looking for beginning of object key string');
      const name = this.#string();
      this.#blanks();
      if (this.#text[this.position] !== ':') this.#unexpected('after object key');
      this.position++;
      entries.push({ name, at: nameAt, value: this.#value(depth + 1) });
      this.#blanks();
      const c = this.#text[this.position];
      if (c !== ',' && c !== '}') this.#unexpected('after object key:value pair');
      this.position++;
      if (c === '}') return { kind: 'object', at, entries };
    }
  }

  #array(at: number, depth: number): JsonNode {
    const items: JsonNode[] = [];
    this.position++;
    this.#blanks();
    if (this.#text[this.position] === ']') {
      this.position++;
      return { kind: 'array', at, items };
    }
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#blanks();
      const c = this.#text[this.position];
      if (c !== ',' && c !== ']') this.#unexpected('after array element');
      this.position++;
      if (c === ']') return { kind: 'array', at, items };
    }
  }

  #string(): string {
    const text = this.#text;
    let at = this.position + 1;
    let out = '';
    for (;;) {
      plainChars.lastIndex = at;
      const run = plainChars.exec(text)?.[0] ?? '';
      out += run;
      at += run.length;
      const c = text[at];
      if (c === undefined) throw new JsonEnd();
      if (c === '"') {
        if (this.#badAt > this.position && this.#badAt < at)
          throw new JsonError(`proto: syntax error ${placeOf(text, this.position)}: invalid UTF-8 in string`);
        this.position = at + 1;
        return out;
      }
      if (c !== '\\') {
        this.position = at;
        return this.#unexpected('in string literal');
      }
      const escape = text[at + 1];
      if (escape === undefined) throw new JsonEnd();
      if (escape === 'u') {
        const hex = text.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) {
          if (at + 2 + hex.length >= text.length && /^[0-9a-fA-F]*$/.test(hex)) throw new JsonEnd();
          {
            const bad = at + 2 + (/^[0-9a-fA-F]*/.exec(hex)?.[0].length ?? 0);
            throw new JsonError(`invalid character ${quoted(text, bad)} in \\u hexadecimal character escape`);
          }
        }
        out += String.fromCharCode(parseInt(hex, 16));
        at += 6;
      } else {
        const char = escapes[escape];
        if (char === undefined) throw new JsonError(`invalid character ${quoted(text, at + 1)} in string escape code`);
        out += char;
        at += 2;
      }
    }
  }
}

const controls: Readonly<Record<number, string>> = { ...goEscapes, 39: "\\'" };

/** The first byte of a character, as Go quotes it. */
function quoted(text: string, at: number): string {
  const byte = Buffer.from(String.fromCodePoint(text.codePointAt(at) ?? 0xfffd))[0] ?? 0;
  const hex = byte.toString(16).padStart(2, '0');
  if (controls[byte] !== undefined) return `'${controls[byte]}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${hex}'`;
  return byte < 0xa1 || byte === 0xad
    ? byte < 0x80
      ? `'${String.fromCharCode(byte)}'`
      : `'\\u00${hex}'`
    : `'${String.fromCharCode(byte)}'`;
}
