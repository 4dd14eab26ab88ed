/**
 * Opening the log: which files count, where the last whole commit ends, and what lies behind the index checkpoint.
 *
 * A torn tail is normal after a crash; damage before it is not. A commit is written only when the one before is durable, and says where that
 * ended. So damage at X is a torn tail when no sound commit record behind X says that the log was durable beyond X, and corruption otherwise.
 */
import type { Disk } from '../../../base/disk.ts';
import type { Log } from '../../../base/log.ts';
import { CorruptError } from '../backend.ts';
import type { CommitState, LogPosition } from './format.ts';
import {
  commitMagic,
  comparePositions,
  decodeCommit,
  decodeHeader,
  headerRecordBytes,
  isRow,
  parseSegmentName,
  recordHeader,
  recordIsSound,
  recordType,
  rowMain,
  rowSub,
} from './format.ts';
import { LogFile, logStart, walkRecords } from './log-file.ts';

/** Largest record that is looked for when a length may be wrong: beyond any request limit in use. */
const searchBlock = 4 * 1024 * 1024;

export interface OpenedLog {
  /** Ascending; the last one is open for appending. */
  readonly files: LogFile[];
  /** True when the log was empty: nothing was ever committed. */
  readonly fresh: boolean;
}

/** Opens the files that count and removes leftovers. @throws CorruptError when one is missing or damaged */
export function openLogFiles(disk: Disk, dir: string, log: Log): OpenedLog {
  const names = disk.list(dir);
  const found: { name: string; first: number; last: number; generation: number }[] = [];
  let removed = false;
  const remove = (name: string): void => {
    disk.unlink(`${dir}/${name}`);
    removed = true;
  };
  for (const name of names) {
    if (name.endsWith('.tmp')) remove(name);
    else {
      const parsed = parseSegmentName(name);
      if (parsed !== undefined) found.push({ name, ...parsed });
    }
  }
  found.sort((a, b) => a.first - b.first || b.last - a.last || b.generation - a.generation);
  const chosen: typeof found = [];
  let next = found[0]?.first === 1 ? 1 : found.length === 0 ? 1 : 0;
  if (next === 0) throw new CorruptError({ path: dir, offset: 0, what: 'segment 1 of the revision log is missing' });
  for (const f of found) {
    if (f.first === next) {
      chosen.push(f);
      next = f.last + 1;
    } else if (f.last < next) remove(f.name);
    else throw new CorruptError({ path: dir, offset: 0, what: `segment ${next} of the revision log is missing` });
  }
  const files: LogFile[] = [];
  for (const [i, f] of chosen.entries()) {
    const path = `${dir}/${f.name}`;
    const file = disk.open(path, { write: true });
    const head = Buffer.alloc(headerRecordBytes);
    const n = file.read(head, 0);
    const header = n === head.length ? decodeHeader(head) : undefined;
    const matches = header !== undefined && header.first === f.first && header.last === f.last && header.generation === f.generation;
    if (!matches) {
      file.close();
      const rest = chosen.slice(i);
      if (rest.some((r) => r.generation !== 0 || holdsDurable(disk, `${dir}/${r.name}`, r.first)))
        throw new CorruptError({ path, offset: 0, what: 'segment header with a wrong checksum' });
      // Made for a commit that never became durable.
      for (const r of rest) {
        log.info('removed a log segment without a durable commit', { path: `${dir}/${r.name}` });
        remove(r.name);
      }
      break;
    }
    files.push(new LogFile(path, file, header));
  }
  for (const f of files.slice(0, -1)) {
    if (f.loadTrailer()) continue;
    if (!f.original) throw new CorruptError({ path: f.path, offset: Math.max(0, f.file.size() - 1), what: 'segment without a trailer' });
    // The trailer is a convenience in a segment that was written in order: walk it.
    const at = files.indexOf(f);
    const expected = (files[at + 1] as LogFile).header.before;
    if (expected.segment !== f.last || expected.offset > f.file.size())
      throw new CorruptError({ path: f.path, offset: f.file.size(), what: 'segment cut short' });
    f.end = expected.offset;
    noteRows(f, headerRecordBytes, f.end);
    f.sealed = true;
    log.warn('a log segment had no readable trailer; its rows were counted anew', { path: f.path });
  }
  for (const [i, f] of files.entries()) {
    const before = files[i - 1];
    if (before === undefined) continue;
    const sealedAt = f.header.before;
    if (f.original && before.original && (sealedAt.segment !== before.last || sealedAt.offset !== before.end) && before.sealed)
      throw new CorruptError({
        path: before.path,
        offset: before.end,
        what: `segment does not end where the next one says (${sealedAt.offset})`,
      });
  }
  if (removed) disk.syncDir(dir);
  return { files, fresh: files.length === 0 };
}

/** Whether a segment holds a commit that says the log was durable up to this segment. */
function holdsDurable(disk: Disk, path: string, segment: number): boolean {
  const file = disk.open(path, { write: false });
  const header = { first: segment, last: segment, generation: 0, before: logStart, commitsBefore: 0, deadAsOf: logStart };
  const durable = durableBehind(new LogFile(path, file, header), 0);
  file.close();
  return durable;
}

/** Makes the first segment of an empty log. */
export function createLog(disk: Disk, dir: string): LogFile {
  return LogFile.create(disk, dir, { first: 1, last: 1, generation: 0, before: logStart, commitsBefore: 0, deadAsOf: logStart });
}

export interface Tail {
  /** End of the last whole commit. */
  readonly end: number;
  readonly commit: CommitState | undefined;
  readonly cutBytes: number;
}

/**
 * Finds the last whole commit of the last segment, checking everything from `from` on.
 * @throws CorruptError when what was durable is damaged
 */
export function findTail(f: LogFile, from: number): Tail {
  const size = f.file.size();
  let end = from;
  let commit: CommitState | undefined;
  let bad: number | undefined;
  try {
    walkRecords(f, from, size, true, (b, at, offset) => {
      if (b[at + 8] === recordType.footer || b[at + 8] === recordType.trailer) return;
      if (b[at + 8] !== recordType.commit) return;
      const c = decodeCommit(b, at);
      if (c === undefined || c.at.segment !== f.last || c.at.offset !== offset)
        throw new CorruptError({ path: f.path, offset, what: 'commit record out of place' });
      commit = c;
      end = offset + b.readUInt32LE(at + 4);
    });
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    bad = error.offset;
    if (durableBehind(f, bad)) throw error;
  }
  return { end, commit, cutBytes: size - end };
}

/** Whether a sound commit record at or behind `from` says that the log was durable beyond `from`. */
export function durableBehind(f: LogFile, from: number): boolean {
  const size = f.file.size();
  for (let offset = from; offset < size;) {
    const b = Buffer.allocUnsafeSlow(Math.min(searchBlock, size - offset));
    const n = f.file.read(b, offset);
    for (let at = b.indexOf(commitMagic); at >= 0 && at < n; at = b.indexOf(commitMagic, at + 1)) {
      const start = at - recordHeader;
      const own = offset + start;
      if (own < from) continue;
      const record = start >= 0 && recordIsSound(b, start, n) ? b : reread(f, own);
      const c = record === undefined ? undefined : decodeCommit(record, record === b ? start : 0);
      if (
        c !== undefined &&
        c.at.segment === f.last &&
        c.at.offset === own &&
        comparePositions(c.before, { segment: f.last, offset: from }) > 0
      )
        return true;
    }
    if (n < b.length || offset + n >= size) return false;
    // Records may lie across the border of two blocks.
    offset += n - 64;
  }
  return false;
}

function reread(f: LogFile, offset: number): Buffer | undefined {
  if (offset < 0) return undefined;
  const head = Buffer.alloc(recordHeader);
  if (f.file.read(head, offset) !== head.length) return undefined;
  const length = head.readUInt32LE(4);
  if (length > 1024 * 1024 || length < recordHeader) return undefined;
  const b = Buffer.alloc(length);
  return f.file.read(b, offset) === length && recordIsSound(b, 0, length) ? b : undefined;
}

/** Rebuilds a file's row statistics and directory from its records. */
export function noteRows(f: LogFile, from: number, to: number): void {
  f.rows = 0;
  f.rowBytes = 0;
  walkRecords(f, from, to, true, (b, at, offset) => {
    if (isRow(b[at + 8] as number)) f.noteRow(rowMain(b, at), rowSub(b, at), offset, b.readUInt32LE(at + 4));
  });
}

export function readCommit(f: LogFile, at: LogPosition): CommitState | undefined {
  const b = reread(f, at.offset);
  const c = b === undefined ? undefined : decodeCommit(b, 0);
  return c !== undefined && comparePositions(c.at, at) === 0 ? c : undefined;
}
