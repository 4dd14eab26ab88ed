/** Mends the end of a log after a crash (rule F-4). */
import type { Disk, DiskFile } from '../../../base/disk.ts';
import type { Log } from '../../../base/log.ts';
import { frameBytes, paddingOf } from './format.ts';
import type { OpenedSegment } from './replay.ts';

/** Copied at a time. */
const copyBytes = 1 << 20;

/**
 * Cuts the segment off at `offset` and makes it zero behind; what was there is kept in `NAME.broken`. Durable on return.
 * Returns how many bytes were removed, up to the last one that was not zero.
 */
export function tearOff(disk: Disk, segment: OpenedSegment, to: { readonly offset: number; readonly segmentBytes: number }): number {
  const end = copyUsed(disk, segment.file, `${segment.path}.broken`);
  segment.file.truncate(to.offset);
  // Synced before it grows again: the old bytes must not come back behind new records.
  segment.file.sync();
  segment.file.truncate(Math.max(to.segmentBytes, to.offset));
  segment.file.sync();
  return Math.max(0, end - to.offset);
}

/** Puts back length fields of sound records that were lost with their sector. */
export function writeLostLengths(file: DiskFile, lost: readonly { readonly offset: number; readonly bodyBytes: number }[], log: Log): void {
  for (const { offset, bodyBytes } of lost) {
    const field = new Uint8Array(frameBytes);
    const padding = paddingOf(bodyBytes);
    new DataView(field.buffer).setUint32(0, bodyBytes, true);
    if (padding !== 0) field[7] = 0x80 | padding;
    file.write(field, offset);
    log.warn('repaired WAL: restored the length of a sound record', { path: file.path, offset });
  }
  if (lost.length !== 0) file.sync();
}

/** Copies up to the last byte that is not zero; returns how many bytes that are. */
function copyUsed(disk: Disk, from: DiskFile, path: string): number {
  if (disk.stat(path) !== undefined) disk.unlink(path);
  const copy = disk.open(path, { write: true, create: true, exclusive: true, mode: 0o600 });
  try {
    const block = new Uint8Array(copyBytes);
    let end = 0;
    for (let at = 0; ;) {
      const n = from.read(block, at);
      if (n === 0) break;
      let used = n;
      while (used > 0 && block[used - 1] === 0) used--;
      if (used !== 0) {
        copy.write(block.subarray(0, used), at);
        end = at + used;
      }
      at += n;
    }
    copy.sync();
    disk.syncDir(path.slice(0, path.lastIndexOf('/')));
    return end;
  } finally {
    copy.close();
  }
}
