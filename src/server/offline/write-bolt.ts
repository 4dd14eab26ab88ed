/** A store written as a bbolt file, durable under its name when this resolves. */
import { BoltSnapshot } from '../storage/bbolt/bolt-snapshot.ts';
import type { StoreContent } from '../storage/bbolt/bolt-store.ts';
import { parentOf } from './new-data-dir.ts';
import type { Tool } from './tool.ts';

/** @throws DiskError, CorruptError, BoltError. The file under `path` is then what it was. */
export async function writeBolt(tool: Tool, content: Pick<StoreContent, 'rows' | 'entries'>, path: string): Promise<number> {
  const { disk, clock } = tool;
  const temporary = `${parentOf(path)}/db.tmp.new`;
  const snapshot = new BoltSnapshot({
    view: { rows: () => content.rows(), entries: (bucket) => content.entries(bucket), release: () => undefined },
    clock,
  });
  const file = disk.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    const totalBytes = await snapshot.totalBytes();
    let at = 0;
    for (let piece = await snapshot.next(); piece !== undefined; piece = await snapshot.next()) {
      file.write(piece, at);
      at += piece.length;
      tool.progress?.({ what: 'copy', bytes: at, totalBytes });
    }
    file.sync();
    disk.rename(temporary, path);
    disk.syncDir(parentOf(path));
    return totalBytes;
  } catch (error) {
    disk.unlink(temporary);
    throw error;
  } finally {
    snapshot.close();
    file.close();
  }
}
