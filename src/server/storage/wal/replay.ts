/**
 * Reads a log from a snapshot on. What a record may say is checked here, beyond what the frames' checksums hold: the type of a record is
 * not under the checksum, so content must fit its type and its place.
 */
import { emptyBytes, equalBytes } from '../../../base/bytes.ts';
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { DecodeError, Reader } from '../../../api/proto-io.ts';
import { Snapshot as SnapshotRecord } from '../../../api/gen/walpb.ts';
import { ConfStateCodec } from '../../../api/gen/raftpb.ts';
import type { ConfState, Entry, HardState } from '../../../raft/types.ts';
import { WalError } from './errors.ts';
import { parseSegmentName, RecordType, type SegmentName } from './format.ts';
import { SegmentReader } from './segment-reader.ts';

/** A snapshot that the log knows. `confState` is there when the index is not 0. */
export interface WalSnapshot {
  readonly index: number;
  readonly term: number;
  readonly confState?: ConfState | undefined;
}

export interface Replay {
  readonly metadata: Uint8Array;
  /** The last one; all zero when the log has none. */
  readonly hardState: HardState;
  /** Contiguous, from start index + 1. Their data are views of memory that nobody else changes. */
  readonly entries: Entry[];
  /** All snapshot records met, in the order of the log. */
  readonly snapshots: WalSnapshot[];
  /** Index of the last entry, or of the start when there is none behind it. */
  readonly lastIndex: number;
  /** Bytes of torn tail that do not count; undefined when the log ends whole. */
  readonly torn: { readonly path: string; readonly offset: number } | undefined;
}

export interface OpenedSegment extends SegmentName {
  readonly path: string;
  readonly file: DiskFile;
}

/** Names of all segments, oldest first. Other files are left alone. */
export function listSegments(disk: Disk, dir: string): SegmentName[] {
  const segments: SegmentName[] = [];
  for (const name of disk.list(dir)) {
    const segment = parseSegmentName(name);
    if (segment !== undefined) segments.push(segment);
  }
  // Names of equal length sort as their numbers do.
  return segments;
}

/** The segments to read for a snapshot at `index`: from the last that begins at or below it. @throws WalError */
export function segmentsFrom(disk: Disk, dir: string, index: number): SegmentName[] {
  const all = listSegments(disk, dir);
  let first = all.length - 1;
  while (first >= 0 && (all[first] as SegmentName).index > index) first--;
  if (first < 0) throw new WalError('segment-not-found', `no segment reaches down to index ${index}`, { path: dir });
  const wanted = all.slice(first);
  for (let i = 1; i < wanted.length; i++) {
    const segment = wanted[i] as SegmentName;
    if (segment.sequence !== (wanted[i - 1] as SegmentName).sequence + 1)
      throw new WalError('gap', `segments before ${segment.name} are missing`, { path: dir });
  }
  return wanted;
}

/** Reads opened segments. Ends at a torn tail of the last one. Also hands out the reader of the last segment, to write on from there. */
export function replay(segments: readonly OpenedSegment[], start: WalSnapshot): { result: Replay; tail: SegmentReader } {
  const log = new LogContent(start);
  let crc = 0;
  let tail: SegmentReader | undefined;
  let torn: Replay['torn'];
  for (const [i, segment] of segments.entries()) {
    const reader = new SegmentReader(segment.file, { crc, isLast: i === segments.length - 1 });
    tail = reader;
    for (;;) {
      const offset = reader.offset;
      const outcome = reader.next();
      if (outcome === 'torn') torn = { path: segment.path, offset };
      if (outcome !== 'record') break;
      take(log, reader, segment.path, offset);
    }
    // Both are durable before a segment gets its name.
    if (reader.count < 2) throw reader.corrupt('a segment has no header');
    crc = reader.crc;
  }
  if (tail === undefined || log.metadata === undefined) throw new WalError('segment-not-found', 'no segment', { path: '' });
  return { result: { ...log.result(), torn }, tail };
}

function take(log: LogContent, reader: SegmentReader, path: string, offset: number): void {
  try {
    if (reader.count <= 2) {
      const wanted = reader.count === 1 ? RecordType.crc : RecordType.metadata;
      if (reader.type !== wanted) throw new Misplaced('a segment begins with crc and metadata');
    }
    log.take(reader);
  } catch (error) {
    const place = { path, offset, record: reader.count - 1 };
    if (error instanceof Misplaced) throw new WalError(error.code, error.message, place, error);
    if (error instanceof DecodeError) throw new WalError('corrupt', `a record does not decode: ${error.message}`, place, error);
    throw error;
  }
}

/** A record that cannot stand where it stands. */
class Misplaced extends Error {
  readonly code: 'corrupt' | 'gap' | 'metadata-conflict' | 'snapshot-mismatch';

  constructor(what: string, code: 'corrupt' | 'gap' | 'metadata-conflict' | 'snapshot-mismatch' = 'corrupt') {
    super(what);
    this.code = code;
  }
}

/** What the records say, one after another. */
class LogContent {
  readonly #start: WalSnapshot;
  metadata: Uint8Array | undefined;
  #hardState: HardState = { term: 0, vote: 0n, commit: 0 };
  readonly #entries: Entry[] = [];
  readonly #snapshots: WalSnapshot[] = [];
  /** Term of the newest entry met at the start's own index, 0 when none was. */
  #startEntryTerm = 0;

  constructor(start: WalSnapshot) {
    this.#start = start;
  }

  take(record: RecordData): void {
    switch (record.type) {
      case RecordType.entry:
        this.#entry(decodeEntry(record));
        return;
      case RecordType.state:
        this.#state(decodeState(record));
        return;
      case RecordType.snapshot:
        this.#snapshot(decodeSnapshot(record));
        return;
      case RecordType.metadata: {
        const data = record.buffer.subarray(record.from, record.to);
        if (this.metadata === undefined) this.metadata = data.slice();
        else if (!equalBytes(this.metadata, data)) throw new Misplaced('segments have different metadata', 'metadata-conflict');
        return;
      }
    }
  }

  #entry(entry: Entry): void {
    const at = entry.Index - this.#start.index - 1;
    if (at < 0) {
      if (entry.Index === this.#start.index) this.#startEntryTerm = entry.Term;
      return;
    }
    const entries = this.#entries;
    if (at > entries.length) throw new Misplaced(`entry ${entry.Index} follows entry ${this.#start.index + entries.length}`, 'gap');
    if (at !== 0 && entry.Term < (entries[at - 1] as Entry).Term)
      throw new Misplaced(`entry ${entry.Index} has an older term than the one before it`);
    if (at < entries.length) {
      // A new leader's entries replace what was not committed.
      const replaced = entries[at] as Entry;
      if (entry.Index <= this.#hardState.commit && replaced.Term !== entry.Term)
        throw new Misplaced(`entry ${entry.Index} replaces a committed one`);
      entries.length = at;
    }
    entries.push(entry);
  }

  #state(state: HardState): void {
    // A batch ends with its state, and no entry is of a later term than the state it came with.
    const last = this.#entries[this.#entries.length - 1];
    if (last !== undefined && last.Term > state.term) throw new Misplaced(`the term falls below that of entry ${last.Index}`);
    this.#hardState = state;
  }

  #snapshot(snapshot: WalSnapshot): void {
    if (snapshot.index === this.#start.index && snapshot.term !== this.#start.term)
      throw new Misplaced(`the log knows snapshot ${snapshot.index} with term ${snapshot.term}`, 'snapshot-mismatch');
    this.#snapshots.push(snapshot);
    this.#dropPhantoms(snapshot);
  }

  /**
   * A received snapshot takes the place of the whole log. Entries that lay behind its index were written under another history, unless the entry
   * at that very index is the snapshot's own (then it is a snapshot of what this log holds). They must not come back as the log's tail: they would
   * break log matching, as their term may be that of entries which the leader has at other indexes.
   */
  #dropPhantoms({ index, term }: WalSnapshot): void {
    const entries = this.#entries;
    const behind = index - this.#start.index;
    if (behind < 0 || behind >= entries.length) return;
    const own = behind === 0 ? this.#startEntryTerm : (entries[behind - 1] as Entry).Term;
    if (own !== term) entries.length = behind;
  }

  result(): Omit<Replay, 'torn'> {
    return {
      metadata: this.metadata as Uint8Array,
      hardState: this.#hardState,
      entries: this.#entries,
      snapshots: this.#snapshots,
      lastIndex: this.#start.index + this.#entries.length,
    };
  }
}

/** A record's type and data, `buffer[from, to)`. */
interface RecordData {
  readonly type: number;
  readonly buffer: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** Fields 1 type (optional), 2 term, 3 index, 4 data (optional), in this order and nothing else. */
function decodeEntry(record: RecordData): Entry {
  const r = readerOf(record);
  let type = 0;
  if (r.buf[r.pos] === 0x08) {
    r.pos++;
    type = r.varint32();
  }
  const term = field(r, 0x10);
  const index = field(r, 0x18);
  let bytes: Uint8Array = emptyBytes;
  if (r.pos < record.to) {
    if (r.buf[r.pos] !== 0x22) throw new Misplaced('an entry has unknown fields');
    r.pos++;
    bytes = r.bytes();
  }
  endOf(r, record);
  if (type > 2 || !isCounter(term) || !isCounter(index)) throw new Misplaced('an entry has impossible values');
  // A configuration change always has content; the second version may be empty (leaving a joint configuration).
  if (type === 1 && bytes.length === 0) throw new Misplaced('a configuration change is empty');
  return { Type: type, Term: term, Index: index, Data: bytes };
}

/** Fields 1 term, 2 vote, 3 commit, all there. */
function decodeState(record: RecordData): HardState {
  const r = readerOf(record);
  const term = field(r, 0x08);
  if (r.buf[r.pos] !== 0x10) throw new Misplaced('a record lacks a field');
  r.pos++;
  const vote = r.bigUint64();
  const commit = field(r, 0x18);
  endOf(r, record);
  if (term === Number.MAX_SAFE_INTEGER || commit === Number.MAX_SAFE_INTEGER) throw new Misplaced('a hard state has impossible values');
  return { term, vote, commit };
}

/** Fields 1 index, 2 term, 3 conf_state; the last is required when the index is not 0. */
function decodeSnapshot(record: RecordData): WalSnapshot {
  const r = readerOf(record);
  const index = field(r, 0x08);
  const term = field(r, 0x10);
  let confState: ConfState | undefined;
  if (r.pos < record.to) {
    if (r.buf[r.pos] !== 0x1a) throw new Misplaced('a snapshot record has unknown fields');
    r.pos++;
    confState = ConfStateCodec.read(r, r.messageEnd());
  }
  endOf(r, record);
  if (index !== 0 && (confState === undefined || !isCounter(index) || !isCounter(term)))
    throw new Misplaced('a snapshot record lacks its configuration');
  return { index, term, confState };
}

function readerOf(record: RecordData): Reader {
  const r = new Reader(record.buffer);
  r.pos = record.from;
  return r;
}

function endOf(r: Reader, record: RecordData): void {
  if (r.pos !== record.to) throw new Misplaced('a record has unknown fields');
}

/** A required counter behind its tag. */
function field(r: Reader, tag: number): number {
  if (r.buf[r.pos] !== tag) throw new Misplaced('a record lacks a field');
  r.pos++;
  return r.uint64();
}

/** Terms and indexes begin at 1; a saturated number is one that no raft reaches. */
function isCounter(v: number): boolean {
  return v >= 1 && v < Number.MAX_SAFE_INTEGER;
}

export function encodeSnapshotRecord(snapshot: WalSnapshot): Uint8Array {
  return SnapshotRecord.encode({ index: snapshot.index, term: snapshot.term, confState: snapshot.confState });
}

/** Opens segments for reading only, without locks: for offline tools. The caller closes them. */
export function openForRead(disk: Disk, dir: string, names: readonly SegmentName[]): OpenedSegment[] {
  const opened: OpenedSegment[] = [];
  try {
    for (const name of names) {
      const path = `${dir}/${name.name}`;
      opened.push({ ...name, path, file: disk.open(path, { write: false }) });
    }
    return opened;
  } catch (error) {
    for (const o of opened) o.file.close();
    throw error;
  }
}

/** Whether the log knows the snapshot it was read from. The empty start is always known. */
export function knowsSnapshot(result: Replay, start: WalSnapshot): boolean {
  return result.snapshots.some((s) => s.index === start.index && s.term === start.term);
}

/**
 * Reads a log without changing it or taking its locks (offline tools; a torn tail is left out).
 * @throws WalError
 */
export function readWal(disk: Disk, dir: string, start: WalSnapshot): Replay {
  const segments = openForRead(disk, dir, segmentsFrom(disk, dir, start.index));
  try {
    const { result } = replay(segments, start);
    if (!knowsSnapshot(result, start))
      throw new WalError('snapshot-not-found', `no record of snapshot ${start.index} at term ${start.term}`, { path: dir });
    return result;
  } finally {
    for (const s of segments) s.file.close();
  }
}

/** Snapshots that the log knows and that its commit index reaches, oldest first. Reads all segments. @throws WalError */
export function validSnapshots(disk: Disk, dir: string): WalSnapshot[] {
  const names = listSegments(disk, dir);
  if (names.length === 0) throw new WalError('segment-not-found', 'no segment', { path: dir });
  const segments = openForRead(disk, dir, names);
  try {
    // Only snapshot records and the last hard state count here: entries are skipped by starting behind every index.
    const { result } = replay(segments, { index: Number.MAX_SAFE_INTEGER, term: 0 });
    return result.snapshots.filter((s) => s.index <= result.hardState.commit);
  } finally {
    for (const s of segments) s.file.close();
  }
}
