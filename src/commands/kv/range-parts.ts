/**
 * A range of any size, read part by part as of one revision, so that neither side holds more than a part of it: a first page that says what
 * the revision is, then RangeStream where the server has it, else further pages.
 */
import { RangeRequest_SortOrder as SortOrder, RangeRequest_SortTarget as SortTarget } from '../../api/gen/etcdserverpb.ts';
import type { RangeRequest, RangeResponse, RangeStreamResponse } from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import type { Init } from '../../api/proto-io.ts';
import { Code, errors, RpcError, type Status } from '../../api/status.ts';
import type { Client } from '../../client/client.ts';

/** Keys of the first page: as many as fit into memory when each value is as large as a request may be. */
const firstPageKeys = 128;
/** Pages grow while they are smaller than this, bytes; and shrink when they are four times as large. */
const pageBytes = 2 * 1024 * 1024;
/** Keys of the largest page. */
const pageKeysMax = 32_768;

/** What is known of a range before its pairs. */
export type RangeHead = Pick<RangeResponse, 'header' | 'more' | 'count'>;

export interface RangeReader {
  readonly client: Client;
  /** Longest wait for one page, or for the next message of the stream, ms. */
  readonly timeoutMs: number;
  /** False: in one read, whatever its size. */
  readonly divide?: boolean;
}

/** Whether pages at one revision add up to what a single read would have given. */
export function isDivisible(r: Init<RangeRequest>): boolean {
  return (
    (r.rangeEnd?.length ?? 0) > 0 &&
    (r.sortOrder ?? SortOrder.NONE) === SortOrder.NONE &&
    (r.sortTarget ?? SortTarget.KEY) === SortTarget.KEY &&
    r.countOnly !== true &&
    ![r.minModRevision, r.maxModRevision, r.minCreateRevision, r.maxCreateRevision].some((n) => (n ?? 0) !== 0)
  );
}

export interface RangePart {
  /** Of the whole range, the same in every part. */
  readonly head: RangeHead;
  readonly kvs: readonly KeyValue[];
}

/**
 * The parts of a range, at least one; the caller takes the next when it is done with the last. A request that cannot be divided is one part.
 * @throws EtcdError, also in the middle: the revision may be compacted meanwhile.
 */
export async function* rangeParts(reader: RangeReader, request: Init<RangeRequest>): AsyncGenerator<RangePart, void> {
  const { client, timeoutMs } = reader;
  const limit = Math.max(0, request.limit ?? 0);
  if (reader.divide === false || !isDivisible(request) || (limit > 0 && limit <= firstPageKeys)) {
    const { kvs, ...head } = await client.call(KV.range, request, { timeoutMs });
    yield { head, kvs };
    return;
  }
  const first = await client.call(KV.range, { ...request, limit: firstPageKeys }, { timeoutMs });
  const head = { header: first.header, count: first.count, more: limit > 0 && first.count > limit };
  yield { head, kvs: first.kvs };
  const last = first.kvs.at(-1);
  if (!first.more || last === undefined) return;
  const revision = (request.revision ?? 0) > 0 ? request.revision : first.header?.revision;
  let rest: Init<RangeRequest> & { limit: number } = {
    ...request,
    revision,
    key: after(last.key),
    limit: limit === 0 ? 0 : limit - first.kvs.length,
  };
  const taken = (kvs: readonly KeyValue[]): void => {
    const end = kvs.at(-1);
    if (end !== undefined) rest = { ...rest, key: after(end.key), limit: rest.limit === 0 ? 0 : rest.limit - kvs.length };
  };
  try {
    for await (const kvs of streamed(reader, rest)) {
      taken(kvs);
      yield { head, kvs };
    }
    return;
  } catch (error) {
    // An older server; or one that went away, when another may go on.
    if (!(error instanceof RpcError) || (error.code !== Code.Unimplemented && error.code !== Code.Unavailable)) throw error;
    if (limit > 0 && rest.limit === 0) return;
  }
  for await (const kvs of pages(reader, rest)) yield { head, kvs };
}

/** The key right behind a key. */
function after(key: Uint8Array): Uint8Array {
  return Buffer.concat([key, new Uint8Array(1)]);
}

async function* pages({ client, timeoutMs }: RangeReader, request: Init<RangeRequest>): AsyncGenerator<readonly KeyValue[], void> {
  let { key, limit = 0 } = request;
  for (let size = firstPageKeys; ;) {
    const page = await client.call(KV.range, { ...request, key, limit: limit === 0 ? size : Math.min(size, limit) }, { timeoutMs });
    if (page.kvs.length > 0) yield page.kvs;
    const last = page.kvs.at(-1);
    if (limit > 0 && (limit -= page.kvs.length) <= 0) return;
    if (!page.more || last === undefined) return;
    key = after(last.key);
    let bytes = 0;
    for (const kv of page.kvs) bytes += kv.key.length + kv.value.length;
    if (bytes < pageBytes) size = Math.min(pageKeysMax, size * 2);
    else if (bytes > pageBytes * 4) size = Math.max(1, size >>> 1);
  }
}

/** The messages of a RangeStream. The connection rests while the caller works. */
async function* streamed({ client, timeoutMs }: RangeReader, request: Init<RangeRequest>): AsyncGenerator<readonly KeyValue[], void> {
  const { stream, slot } = await client.connection.stream(KV.rangeStream);
  const waiting: RangeStreamResponse[] = [];
  let ended: Status | undefined;
  let wake: (() => void) | undefined;
  stream.onMessage = (message) => {
    waiting.push(message);
    stream.pause();
    wake?.();
  };
  stream.onEnd = (status) => {
    ended = status;
    wake?.();
  };
  stream.send(request);
  stream.halfClose();
  try {
    for (;;) {
      const message = waiting.shift();
      if (message !== undefined) {
        if (message.rangeResponse !== undefined) yield message.rangeResponse.kvs;
        continue;
      }
      if (ended !== undefined) {
        if (ended.code === Code.Unavailable) client.connection.streamFailed(slot);
        if (ended.code !== Code.OK) throw new RpcError(ended);
        return;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        // Only now: what has come already is handed out at once.
        stream.resume();
      });
      wake = undefined;
      if (waiting.length === 0 && ended === undefined) throw new RpcError(errors.contextDeadlineExceeded);
    }
  } finally {
    stream.onMessage = undefined;
    stream.onEnd = undefined;
    if (ended === undefined) stream.cancel();
  }
}
