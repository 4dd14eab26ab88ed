/** Where the Snapshot RPC gets its bytes from: a bbolt file of the store as of one moment. The server's assembly binds it. */
export interface SnapshotSource {
  /** Fixes the moment. The reader must be closed, or it holds on to old segments. */
  open(): SnapshotReader;
}

export interface SnapshotReader {
  /** Known before the first byte: Snapshot messages count down from it. A multiple of the page size. */
  readonly totalBytes: number;
  /** The next piece of the file, of any length; undefined at the end. Owned by the caller. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}
