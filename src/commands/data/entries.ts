/** Reads what `export` wrote, or somebody by hand, as often as needed and without holding all of it. */
import { closeSync, createReadStream, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError, ExitCode } from '../frame/exit.ts';
import { ioText } from '../frame/io-text.ts';
import { prefixOf, entryOf, type Entry } from './records.ts';

/** A YAML file is read as a whole, and takes some thirty times its size in memory. */
const yamlBytesMax = 32 * 1024 * 1024;

const invalid = (text: string): CommandError => new CommandError(ExitCode.InvalidInput, text);

export interface EntryFile {
  /** What was exported, when the file says so. */
  readonly prefix: Uint8Array | undefined;
  readonly bytes: number;
  /** All pairs in order; each with how many bytes of the file lie behind it. @throws CommandError */
  read(): AsyncGenerator<{ readonly entry: Entry; readonly at: number }, void>;
  close(): void;
}

/** Standard input may be a pipe, which can be read but once: it is kept in a file without a name. */
function spooled(): number {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-import-'));
  const fd = openSync(join(dir, 'input'), 'w+', 0o600);
  rmSync(dir, { recursive: true });
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (;;) {
    let n: number;
    try {
      n = readSync(0, chunk, 0, chunk.length, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') continue;
      if ((error as NodeJS.ErrnoException).code === 'EOF') return fd;
      throw error;
    }
    if (n === 0) return fd;
    for (let at = 0; at < n;) at += writeSync(fd, chunk, at, n - at);
  }
}

function openInput(name: string): number {
  try {
    return name === '-' ? spooled() : openSync(name, 'r');
  } catch (error) {
    throw new CommandError(ExitCode.IO, ioText(error));
  }
}

function firstLetter(fd: number): string {
  const chunk = Buffer.alloc(4096);
  const n = readSync(fd, chunk, 0, chunk.length, 0);
  return chunk
    .utf8Slice(0, n)
    .replace(/^\ufeff/, '')
    .trimStart()
    .charAt(0);
}

async function* lines(fd: number): AsyncGenerator<{ text: string; number: number; at: number }, void> {
  const stream = createReadStream('', { fd, start: 0, autoClose: false });
  let number = 0;
  let at = 0;
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    at += Buffer.byteLength(text) + 1;
    number++;
    if (text.trim() !== '') yield { text: number === 1 ? text.replace(/^\ufeff/, '') : text, number, at };
  }
}

function objectOf(text: string, where: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`${where}: no JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${where}: no JSON object`);
  return value as Readonly<Record<string, unknown>>;
}

const cutOff = (name: string): CommandError => invalid(`${name}: the end mark is missing: the file was cut off`);

async function jsonLinesFile(fd: number, name: string): Promise<EntryFile> {
  let prefix: Uint8Array | undefined;
  for await (const { text } of lines(fd)) {
    const head = objectOf(text, `${name}:1`);
    if ('export' in head) prefix = prefixOf(head, `${name}:1`);
    break;
  }
  return {
    prefix,
    bytes: fstatSync(fd).size,
    async *read() {
      let ended = prefix === undefined;
      for await (const { text, number, at } of lines(fd)) {
        const where = `${name}:${number}`;
        const o = objectOf(text, where);
        if ('export' in o) continue;
        if (o['end'] === true) ended = true;
        else yield { entry: entryOf(o, where), at };
      }
      if (!ended) throw cutOff(name);
    },
    close: () => closeSync(fd),
  };
}

async function yamlFile(fd: number, name: string): Promise<EntryFile> {
  const bytes = fstatSync(fd).size;
  if (bytes > yamlBytesMax) throw invalid(`${name}: YAML of more than ${yamlBytesMax} bytes: use JSON lines`);
  const { parse } = await import('yaml');
  let whole: unknown;
  try {
    // From the beginning, wherever the descriptor stands.
    const text = Buffer.alloc(bytes);
    for (let at = 0; at < bytes;) {
      const n = readSync(fd, text, at, bytes - at, at);
      if (n === 0) break;
      at += n;
    }
    whole = parse(text.toString('utf8'), { intAsBigInt: true });
  } catch (error) {
    throw invalid(`${name}: no YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  const o = (typeof whole === 'object' && whole !== null ? whole : {}) as Readonly<Record<string, unknown>>;
  const exported = 'export' in o;
  const list = Array.isArray(whole) ? (whole as unknown[]) : o['keys'];
  if (exported && o['end'] !== true) throw cutOff(name);
  if (!Array.isArray(list)) throw invalid(`${name}: no list of keys`);
  return {
    prefix: exported ? prefixOf(o, name) : undefined,
    bytes,

    async *read() {
      for (const [i, value] of list.entries())
        yield { entry: entryOf(value, `${name}: pair ${i + 1}`), at: Math.round((bytes * (i + 1)) / list.length) };
    },
    close: () => closeSync(fd),
  };
}

/** @param name of a file, or `-` for standard input. @throws CommandError */
export async function openEntries(name: string): Promise<EntryFile> {
  const fd = openInput(name);
  const shown = name === '-' ? 'standard input' : name;
  try {
    return firstLetter(fd) === '{' ? await jsonLinesFile(fd, shown) : await yamlFile(fd, shown);
  } catch (error) {
    closeSync(fd);
    if (error instanceof CommandError) throw error;
    throw new CommandError(ExitCode.IO, ioText(error));
  }
}
