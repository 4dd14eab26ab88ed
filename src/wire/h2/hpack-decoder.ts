/**
 * HPACK decoding (RFC 7541). Fields that come from a table are the table's own objects, so that a repeated header costs one array read, and
 * its checks are made once, when it enters the table.
 */
import { huffmanDecode } from './huffman.ts';
import { staticFields } from './hpack-tables.ts';
import type { HeaderTrace } from '../header-trace.ts';
import { ErrorCode, H2Error } from './frames.ts';

/** What a field is to a request; `FieldKind.bad` ones make it malformed. */
export const FieldKind = {
  regular: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  bad: 5,
  contentType: 6,
  timeout: 7,
  contentLength: 8,
  host: 9,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

export class HeaderEntry {
  readonly name: string;
  readonly value: string;
  /** As RFC 9113 and HPACK count it. */
  readonly size: number;
  readonly kind: FieldKind;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + 32;
    this.kind = kindOf(name, value);
  }
}

/** Lower-case token characters; a pseudo-header's colon is looked at before. */
const nameRule = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const valueRule = /^[^\0\r\n]*$/;
const edgeSpace = /^[ \t]|[ \t]$/;

function kindOf(name: string, value: string): FieldKind {
  if (!valueRule.test(value) || edgeSpace.test(value)) return FieldKind.bad;
  switch (name) {
    case ':method':
      return FieldKind.method;
    case ':scheme':
      return FieldKind.scheme;
    case ':path':
      return FieldKind.path;
    case ':authority':
      return FieldKind.authority;
    case 'content-type':
      return FieldKind.contentType;
    case 'grpc-timeout':
      return FieldKind.timeout;
    case 'content-length':
      return /^[0-9]{1,15}$/.test(value) ? FieldKind.contentLength : FieldKind.bad;
    case 'host':
      return FieldKind.host;
    // Fields of an HTTP/1.1 connection have no place in HTTP/2.
    case 'connection':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      return FieldKind.bad;
    case 'te':
      return value.toLowerCase() === 'trailers' ? FieldKind.regular : FieldKind.bad;
    default:
      return nameRule.test(name) ? FieldKind.regular : FieldKind.bad;
  }
}

const staticEntries: readonly HeaderEntry[] = staticFields.map(([name, value]) => new HeaderEntry(name, value));
const staticCount = staticEntries.length;

export class HpackDecoder {
  /** Grows whenever the dynamic table changes: what was decoded before may read otherwise now. */
  version = 0;
  /** Size of the last decoded list, and whether it passed the limits: then `out` holds only a part of it. */
  listBytes = 0;
  tooLarge = false;
  readonly #tableBytesMax: number;
  readonly #listBytesMax: number;
  readonly #countMax: number;
  readonly #trace: HeaderTrace | undefined;
  /** Newest last; entries before `#first` are evicted. */
  #dynamic: (HeaderEntry | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #limit: number;
  // The cursor of the block that is being decoded.
  #buf: Uint8Array = staticBuffer;
  #pos = 0;
  #end = 0;

  constructor(options: {
    readonly tableBytes: number;
    readonly listBytesMax: number;
    readonly countMax: number;
    readonly trace?: HeaderTrace | undefined;
  }) {
    this.#trace = options.trace;
    this.#tableBytesMax = options.tableBytes;
    this.#limit = options.tableBytes;
    this.#listBytesMax = options.listBytesMax;
    this.#countMax = options.countMax;
  }

  /** Appends the fields of the block `b[start, end)` to `out`. @throws H2Error  COMPRESSION_ERROR: the connection cannot go on. */
  decode(b: Uint8Array, start: number, end: number, out: HeaderEntry[]): void {
    this.#buf = b;
    this.#pos = start;
    this.#end = end;
    this.listBytes = 0;
    this.tooLarge = false;
    let any = false;
    while (this.#pos < end) {
      const byte = b[this.#pos] as number;
      if (byte >= 128) this.#take(this.#entry(this.#integer(7)), out, false);
      else if (byte >= 64) {
        const entry = this.#literal(6);
        this.#insert(entry);
        this.#take(entry, out, false);
      } else if (byte >= 32) {
        if (any) throw new H2Error(ErrorCode.compressionError, 'table size update after a field');
        this.#resize(this.#integer(5));
        continue;
      } else this.#take(this.#literal(4), out, byte >= 16);
      any = true;
    }
    this.#buf = staticBuffer;
  }

  #take(entry: HeaderEntry, out: HeaderEntry[], sensitive: boolean): void {
    if (this.#trace !== undefined) this.#trace(entry.name, entry.value, sensitive);
    this.listBytes += entry.size;
    if (this.listBytes > this.#listBytesMax || out.length >= this.#countMax) this.tooLarge = true;
    else out.push(entry);
  }

  #entry(index: number): HeaderEntry {
    if (index > 0 && index <= staticCount) return staticEntries[index - 1] as HeaderEntry;
    const entry = index === 0 ? undefined : this.#dynamic[this.#dynamic.length - (index - staticCount)];
    if (entry === undefined) throw new H2Error(ErrorCode.compressionError, `no table entry ${index}`);
    return entry;
  }

  #literal(prefix: number): HeaderEntry {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    return new HeaderEntry(name, this.#string());
  }

  #insert(entry: HeaderEntry): void {
    this.version++;
    if (entry.size > this.#limit) {
      // Larger than the whole table: empties it, and is not kept.
      this.#dynamic = [];
      this.#first = 0;
      this.#bytes = 0;
      return;
    }
    this.#dynamic.push(entry);
    this.#bytes += entry.size;
    this.#evict();
  }

  #resize(limit: number): void {
    if (limit > this.#tableBytesMax) throw new H2Error(ErrorCode.compressionError, 'table size above the limit');
    this.version++;
    this.#limit = limit;
    this.#evict();
  }

  #evict(): void {
    while (this.#bytes > this.#limit) {
      this.#bytes -= (this.#dynamic[this.#first] as HeaderEntry).size;
      this.#dynamic[this.#first++] = undefined;
    }
    // Moves the living down now and then: a table of 4 KiB holds at most 128 entries.
    if (this.#first > 256) {
      this.#dynamic = this.#dynamic.slice(this.#first);
      this.#first = 0;
    }
  }

  #integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let v = (this.#byte() as number) & mask;
    if (v < mask) return v;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      v += (byte & 127) << shift;
      if (byte < 128) return v;
    }
    throw new H2Error(ErrorCode.compressionError, 'integer too large');
  }

  #byte(): number {
    if (this.#pos >= this.#end) throw new H2Error(ErrorCode.compressionError, 'block ends inside a field');
    return this.#buf[this.#pos++] as number;
  }

  #string(): string {
    if (this.#pos >= this.#end) throw new H2Error(ErrorCode.compressionError, 'block ends inside a field');
    const coded = (this.#buf[this.#pos] as number) >= 128;
    const length = this.#integer(7);
    const start = this.#pos;
    const end = start + length;
    if (end > this.#end) throw new H2Error(ErrorCode.compressionError, 'string runs past the block');
    this.#pos = end;
    if (!coded) return (this.#buf as Buffer).latin1Slice(start, end);
    const text = huffmanDecode(this.#buf, start, end);
    if (text === undefined) throw new H2Error(ErrorCode.compressionError, 'bad Huffman code');
    return text;
  }
}

const staticBuffer: Uint8Array = Buffer.alloc(0);
