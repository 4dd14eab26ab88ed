/**
 * Lock: callers queue up by the create revision of their keys `name/<lease>`; the lowest owns the lock.
 *
 * The owner's key dies with its lease, so a lock is returned only after its key was seen to be still there (G-LK-1). Who gives up waiting
 * takes its key away again.
 */
import { Compare_CompareResult, Compare_CompareTarget } from '../../api/gen/etcdserverpb.ts';
import { KV, Lock } from '../../api/gen/methods.ts';
import type { LockRequest, LockResponse } from '../../api/gen/v3lockpb.ts';
import { errors, RpcError } from '../../api/status.ts';
import { serve, sessionKeys } from './concurrency-call.ts';
import type { ServiceContext } from './context.ts';
import { firstCreated, type Abort, type InternalClient } from './internal-client.ts';

export function registerLock(context: ServiceContext): void {
  context.unary(Lock.lock, (call) => serve(context, call, lock));
  context.unary(Lock.unlock, (call) =>
    serve(context, call, async (client, { key }) => ({ header: (await client.call(KV.deleteRange, { key })).header })),
  );
}

async function lock(client: InternalClient, request: LockRequest, abort: Abort): Promise<LockResponse> {
  const lease = await client.session(request.lease);
  abort.throwIfFired();
  const { prefix, key } = sessionKeys(request.name, lease);
  const owner = { requestRange: firstCreated(prefix) };
  const entered = await client.txn({
    compare: [{ key, target: Compare_CompareTarget.CREATE, result: Compare_CompareResult.EQUAL, createRevision: 0 }],
    success: [{ requestPut: { key, lease } }, owner],
    failure: [{ requestRange: { key } }, owner],
  });
  const mine = entered.succeeded ? entered.header?.revision : entered.responses[0]?.responseRange?.kvs[0]?.createRevision;
  const myRev = mine ?? 0;
  const first = entered.responses[1]?.responseRange?.kvs[0];
  if (first === undefined || first.createRevision === myRev) {
    if (abort.reason !== undefined) await withdraw(client, key);
    return { header: entered.header, key };
  }
  try {
    await client.waitForPredecessors(prefix, myRev - 1, abort);
    const still = await client.get({ key });
    abort.throwIfFired();
    if (still.kvs.length === 0) throw new RpcError(errors.sessionExpired);
    return { header: still.header, key };
  } catch (e) {
    if (!(e instanceof RpcError && e.message === errors.sessionExpired.message)) await withdraw(client, key);
    throw e;
  }
}

/** The caller will never know of its place in the queue. When this fails, the lease still ends it. */
async function withdraw(client: InternalClient, key: Uint8Array): Promise<void> {
  try {
    await client.delete(key);
  } catch (e) {
    client.context.member.log.warn('failed to withdraw an abandoned lock', { error: e instanceof Error ? e.message : String(e) });
  }
}
