/** A saved snapshot: a bbolt file, and behind it the SHA-256 of it. The digest is there when the length is 32 beyond a multiple of 512. */
import { createHash } from 'node:crypto';
import { equalBytes } from '../../base/bytes.ts';
import type { DiskFile } from '../../base/disk.ts';
import { OfflineError } from './errors.ts';
import { turn, type Tool } from './tool.ts';

export const digestBytes = 32;
const sectorBytes = 512;
/** Read at a time. */
const pieceBytes = 1024 * 1024;

export interface SnapshotFileParts {
  /** Length of the database. */
  readonly databaseBytes: number;
  readonly digest: Uint8Array | undefined;
}

export function partsOf(file: DiskFile): SnapshotFileParts {
  const bytes = file.size();
  if (bytes < digestBytes)
    throw new OfflineError(`seek ${file.path}: invalid argument`, { hint: `${file.path} is too short for a snapshot` });
  if (bytes % sectorBytes !== digestBytes) return { databaseBytes: bytes, digest: undefined };
  const digest = Buffer.alloc(digestBytes);
  file.read(digest, bytes - digestBytes);
  return { databaseBytes: bytes - digestBytes, digest };
}

/** @throws OfflineError in etcdutl's words. */
export async function verifyDigest(tool: Tool, file: DiskFile, parts: SnapshotFileParts): Promise<void> {
  const { databaseBytes, digest } = parts;
  if (digest === undefined) return;
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(1, databaseBytes)));
  for (let at = 0; at < databaseBytes;) {
    const n = file.read(piece.subarray(0, Math.min(piece.length, databaseBytes - at)), at);
    if (n === 0) throw new OfflineError(`read ${file.path}: unexpected EOF`);
    hash.update(piece.subarray(0, n));
    at += n;
    tool.progress?.({ what: 'verify', bytes: at, totalBytes: databaseBytes });
    await turn(tool);
  }
  const found = hash.digest();
  if (equalBytes(found, digest)) return;
  throw new OfflineError(`expected sha256 [${digest.join(' ')}], got [${found.join(' ')}]`, {
    hint: `${file.path} was altered or damaged after it was saved: use another copy`,
  });
}
