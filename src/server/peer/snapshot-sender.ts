/** Sends a raft snapshot with its database: one message, then the store as a bbolt file, as it is made. */
import type { ClientRequest } from 'node:http';
import { MessageCodec } from '../../api/gen/raftpb.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Message } from '../../raft/types.ts';
import type { BoltSnapshot } from '../storage/bbolt/bolt-snapshot.ts';
import { type OwnIdentity, ownHeaders } from './compatibility.ts';
import type { PeerClient } from './peer-client.ts';

/** A peer that takes nothing, or does not answer after the last byte, for so long is given up: the view it reads holds disk space. */
const stalledMs = 60_000;
/** Time for the body of the answer once its head is there. */
const answerMs = 5000;

export interface SnapshotSend {
  cancel(): void;
}

/** Takes over `snapshot` and closes it. `done` runs once: without an error when the peer has taken it all. */
export function sendSnapshot(
  options: {
    readonly own: OwnIdentity;
    readonly client: PeerClient;
    readonly clock: Clock;
    readonly message: Message;
    readonly snapshot: BoltSnapshot;
  },
  done: (error: Error | undefined, bytes: number, answer: { readonly status: number; readonly text: string } | undefined) => void,
): SnapshotSend {
  const { own, client, clock, message, snapshot } = options;
  const { url } = client;
  let over = false;
  let bytes = 0;
  let movedMs = clock.mono();
  let answerTimer: Timer | undefined;
  let request: ClientRequest | undefined;
  const watch = clock.every(stalledMs / 4, () => {
    if (clock.mono() - movedMs > stalledMs) finish(new Error('i/o timeout'), undefined);
  });
  const finish = (error: Error | undefined, answer: { readonly status: number; readonly text: string } | undefined): void => {
    if (over) return;
    over = true;
    watch.cancel();
    answerTimer?.cancel();
    snapshot.close();
    if (error !== undefined) client.failed(url);
    if (error !== undefined || answer?.status !== 204) request?.destroy();
    done(error, bytes, answer);
  };
  try {
    request = client.open(url, {
      method: 'POST',
      path: '/raft/snapshot',
      headers: { ...ownHeaders(own), 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' },
    });
  } catch (error) {
    clock.defer(() => finish(error as Error, undefined));
    return { cancel: () => finish(new Error('canceled'), undefined) };
  }
  const req = request;
  req.on('error', (error) => finish(error, undefined));
  req.on('response', (response) => {
    const status = response.statusCode ?? 0;
    let text = '';
    answerTimer = clock.after(answerMs, () => finish(undefined, { status, text }));
    response.setEncoding('utf8');
    response.on('data', (d: string) => {
      if (text.length < 1024) text += d;
    });
    response.on('error', (error) => finish(error, undefined));
    response.on('end', () => finish(undefined, { status, text }));
  });
  const write = (piece: Uint8Array, written?: () => void): Promise<void> => {
    bytes += piece.length;
    if (req.write(piece, written)) {
      movedMs = clock.mono();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const go = (): void => {
        movedMs = clock.mono();
        req.removeListener('drain', go);
        req.removeListener('close', go);
        resolve();
      };
      req.on('drain', go);
      req.on('close', go);
    });
  };
  const body = async (): Promise<void> => {
    // The first reading of the rows only counts; nothing is sent meanwhile.
    await snapshot.totalBytes();
    const encoded = MessageCodec.encode(message);
    const head = Buffer.alloc(8);
    head.writeBigUInt64BE(BigInt(encoded.length));
    await write(Buffer.concat([head, encoded]));
    for (;;) {
      movedMs = clock.mono();
      const piece = over ? undefined : await snapshot.next();
      if (over || piece === undefined) break;
      // Taken back when the system has it, or the connection is gone.
      await write(piece, () => snapshot.giveBack(piece));
    }
    if (!over) req.end();
  };
  body().catch((error: unknown) => finish(error instanceof Error ? error : new Error(String(error)), undefined));
  return { cancel: () => finish(new Error('canceled'), undefined) };
}
