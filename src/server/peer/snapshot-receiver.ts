/**
 * Takes a raft snapshot with its database (POST /raft/snapshot): the message, then a bbolt file that goes to disk as it comes. The file has its name,
 * `<index>.snap.db`, only when it is whole and durable; then raft gets the message (rule D-8).
 */
import { MessageCodec } from '../../api/gen/raftpb.ts';
import type { Disk, DiskError, DiskFile, DiskThread } from '../../base/disk.ts';
import { type Message, MessageType } from '../../raft/types.ts';
import type { HttpRequest } from '../../wire/http.ts';

/** Bytes of the message in front of the database: with it goes the membership alone. */
const envelopeBytesMax = 64 * 1024 * 1024;
/** Bytes received and not yet written above which the sender has to wait. */
const unwrittenBytesMax = 4 * 1024 * 1024;

export type ReceiveError =
  | { readonly kind: 'decode'; readonly text: string }
  | { readonly kind: 'type' }
  | { readonly kind: 'save'; readonly text: string }
  | { readonly kind: 'aborted' };

export interface ReceiveOptions {
  readonly disk: Disk;
  readonly thread: DiskThread;
  readonly dir: string;
  /** Name of the temporary file, in `dir`: begins with `tmp`, so that a start removes what is left of it. */
  readonly temporary: string;
  readonly databasePath: (index: number) => string;
  /** Looks at the message before the database comes. */
  readonly accept: (m: Message) => string | undefined;
  /** The database is durable; its sync took so long. */
  readonly saved?: ((syncMs: number) => void) | undefined;
}

/** `done` runs once, with the message when its database is durable. */
export function receiveSnapshot(
  request: HttpRequest,
  options: ReceiveOptions,
  done: (error: ReceiveError | undefined, message: Message | undefined, bytes: number) => void,
): void {
  const { disk, thread, dir, databasePath } = options;
  const path = `${dir}/${options.temporary}`;
  let head: Uint8Array[] = [];
  let headBytes = 0;
  let wanted: number | undefined;
  let message: Message | undefined;
  let file: DiskFile | undefined;
  let position = 0;
  let unwritten = 0;
  let over = false;
  const fail = (error: ReceiveError): void => {
    if (over) return;
    over = true;
    head = [];
    const opened = file;
    if (opened !== undefined) {
      // After the writes that are queued.
      thread.submit([{ kind: 'unlink', path }], () => opened.close());
    }
    request.resume();
    done(error, undefined, position);
  };
  const save = (error: DiskError | undefined): boolean => {
    if (error !== undefined) fail({ kind: 'save', text: error.message });
    return error === undefined;
  };
  const write = (chunk: Uint8Array): void => {
    if (chunk.length === 0) return;
    unwritten += chunk.length;
    if (unwritten > unwrittenBytesMax) request.pause();
    thread.submit([{ kind: 'write', file: file as DiskFile, bytes: chunk, position }], (error) => {
      unwritten -= chunk.length;
      if (!over && save(error) && unwritten <= unwrittenBytesMax) request.resume();
    });
    position += chunk.length;
  };
  const takeHead = (chunk: Uint8Array): void => {
    head.push(chunk);
    headBytes += chunk.length;
    if (headBytes < (wanted ?? 8)) return;
    const all = head.length === 1 ? (head[0] as Uint8Array) : Buffer.concat(head);
    head = [all];
    if (wanted === undefined) {
      const length = Number(Buffer.from(all.buffer, all.byteOffset, 8).readBigUInt64BE(0));
      if (length > envelopeBytesMax) return fail({ kind: 'decode', text: 'error limit exceeded' });
      wanted = 8 + length;
      if (headBytes < wanted) return;
    }
    head = [];
    try {
      // A copy: the message outlives the piece, and the piece holds much more.
      message = MessageCodec.decode(Buffer.from(all.subarray(8, wanted)));
    } catch (error) {
      return fail({ kind: 'decode', text: (error as Error).message });
    }
    if (message.type !== MessageType.MsgSnap || (message.snapshot?.metadata?.index ?? 0) === 0) return fail({ kind: 'type' });
    const refused = options.accept(message);
    if (refused !== undefined) return fail({ kind: 'save', text: refused });
    try {
      file = disk.open(path, { write: true, create: true, truncate: true });
    } catch (error) {
      return fail({ kind: 'save', text: (error as Error).message });
    }
    write(all.subarray(wanted));
  };
  request.onData = (chunk) => {
    if (over) return;
    if (message === undefined) takeHead(chunk);
    else write(chunk);
  };
  request.onAbort = () => fail({ kind: 'aborted' });
  request.onEnd = () => {
    if (over) return;
    const opened = file;
    const m = message;
    if (opened === undefined || m === undefined) return fail({ kind: 'decode', text: 'unexpected EOF' });
    const to = databasePath(m.snapshot?.metadata?.index ?? 0);
    thread.submit(
      [
        { kind: 'sync', file: opened },
        { kind: 'rename', from: path, to },
        { kind: 'syncDir', path: dir },
      ],
      (error, syncMs) => {
        if (over || !save(error)) return;
        over = true;
        opened.close();
        options.saved?.(syncMs);
        done(undefined, m, position);
      },
    );
  };
}
