/** Where the Snapshot RPC gets its bytes from: a bbolt file of the store as of one moment. The server's assembly binds it. */
export interface SnapshotSource {
  /** Fixes the moment. The reader must be closed, or it holds on to old segments. */
  open(): SnapshotReader;
}

export interface SnapshotReader {
  /** Length of the file, a multiple of the page size: Snapshot messages count down from it. Takes a reading of the whole store. */
  totalBytes(): Promise<number>;
  /** The next piece of the file, of any length; undefined at the end. Owned by the caller. */
  next(): Promise<Uint8Array | undefined>;
  /** What `totalBytes` and `next` still wait for is rejected. */
  close(): void;
}
