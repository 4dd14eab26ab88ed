/** Election: candidates hold keys `name/<lease>`; the one created first leads, its value is what it proclaims. */
import { Compare_CompareResult, Compare_CompareTarget, type ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { Election } from '../../api/gen/methods.ts';
import { KeyValue } from '../../api/gen/mvccpb.ts';
import type {
  CampaignRequest,
  CampaignResponse,
  LeaderKey,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
} from '../../api/gen/v3electionpb.ts';
import { errors, RpcError } from '../../api/status.ts';
import { equalBytes, prefixEnd } from '../../base/bytes.ts';
import { serve, sessionKeys, unknownStatus } from './concurrency-call.ts';
import type { ServiceContext, StreamScope } from './context.ts';
import { Abort, firstCreated, InternalClient } from './internal-client.ts';

export function registerElection(context: ServiceContext): void {
  context.unary(Election.campaign, (call) => serve(context, call, campaign));
  context.unary(Election.proclaim, (call) => serve(context, call, proclaimCall));
  context.unary(Election.leader, (call) => serve(context, call, leader));
  context.unary(Election.resign, (call) => serve(context, call, resignCall));
  context.stream(Election.observe, (scope) => {
    scope.onRequest = (asked) => {
      const request = asked.open();
      if (request !== undefined) observe(context, scope, request);
    };
  });
}

/** Holds while the key is the one that the leader made. */
const ownedBy = (leader: LeaderKey) => ({
  key: leader.key,
  target: Compare_CompareTarget.CREATE,
  result: Compare_CompareResult.EQUAL,
  createRevision: leader.rev,
});

async function campaign(client: InternalClient, request: CampaignRequest, abort: Abort): Promise<CampaignResponse> {
  const lease = await client.session(request.lease);
  abort.throwIfFired();
  const { prefix, key } = sessionKeys(request.name, lease);
  const entered = await client.txn({
    compare: [{ key, target: Compare_CompareTarget.CREATE, result: Compare_CompareResult.EQUAL, createRevision: 0 }],
    success: [{ requestPut: { key, value: request.value, lease } }],
    failure: [{ requestRange: { key } }],
  });
  const former = entered.succeeded ? undefined : entered.responses[0]?.responseRange?.kvs[0];
  const me: LeaderKey = { name: request.name, key, rev: former?.createRevision ?? entered.header?.revision ?? 0, lease };
  try {
    if (former !== undefined && !equalBytes(former.value, request.value)) await proclaim(client, me, request.value);
    await client.waitForPredecessors(prefix, me.rev - 1, abort);
    abort.throwIfFired();
  } catch (e) {
    await withdraw(client, me);
    throw e;
  }
  // The header is the one of entering the race, however long it took to win it.
  return { header: entered.header, leader: me };
}

async function withdraw(client: InternalClient, me: LeaderKey): Promise<void> {
  try {
    await resign(client, me);
  } catch (e) {
    client.context.member.log.warn('failed to withdraw an abandoned candidate', { error: e instanceof Error ? e.message : String(e) });
  }
}

async function proclaim(client: InternalClient, leader: LeaderKey, value: Uint8Array): Promise<ResponseHeader | undefined> {
  const done = await client.txn({
    compare: [ownedBy(leader)],
    success: [{ requestPut: { key: leader.key, value, lease: leader.lease } }],
  });
  if (!done.succeeded) throw new RpcError(errors.electionNotLeader);
  return done.header;
}

async function resign(client: InternalClient, leader: LeaderKey): Promise<ResponseHeader | undefined> {
  const done = await client.txn({ compare: [ownedBy(leader)], success: [{ requestDeleteRange: { key: leader.key } }] });
  return done.header;
}

async function proclaimCall(client: InternalClient, request: ProclaimRequest): Promise<ProclaimResponse> {
  if (request.leader === undefined) throw new RpcError(errors.electionLeaderMissing);
  const lease = await client.session(request.leader.lease);
  return { header: await proclaim(client, { ...request.leader, lease }, request.value) };
}

async function resignCall(client: InternalClient, request: ResignRequest): Promise<ResignResponse> {
  if (request.leader === undefined) throw new RpcError(errors.electionLeaderMissing);
  await client.session(request.leader.lease);
  return { header: await resign(client, request.leader) };
}

async function leader(client: InternalClient, request: LeaderRequest): Promise<LeaderResponse> {
  const { prefix } = sessionKeys(request.name, 0n);
  const found = await client.get(firstCreated(prefix));
  const kv = found.kvs[0];
  if (kv === undefined) throw new RpcError(errors.electionNoLeader);
  return { header: found.header, kv };
}

function observe(context: ServiceContext, scope: StreamScope<LeaderRequest, LeaderResponse>, request: LeaderRequest): void {
  const abort = new Abort();
  scope.onOver(() => abort.fire(errors.contextCanceled));
  follow(context, scope, request, abort).catch((e: unknown) => {
    if (scope.over) return;
    // As etcd: whatever keeps the server from observing, a missing permission for one, ends the stream without a word.
    const status = unknownStatus(e);
    if (status === errors.stopped) scope.fail(status);
    else scope.end();
  });
}

/** Tells of every leader and of all it proclaims, in the order of revisions. */
async function follow(
  context: ServiceContext,
  scope: StreamScope<LeaderRequest, LeaderResponse>,
  request: LeaderRequest,
  abort: Abort,
): Promise<void> {
  const client = new InternalClient(context, scope.call);
  const { prefix } = sessionKeys(request.name, 0n);
  let drained: (() => void) | undefined;
  scope.call.onDrain = () => drained?.();
  const tell = async (rev: number, kv: KeyValue): Promise<void> => {
    if (scope.over || scope.call.send({ header: context.headerMessage(rev), kv })) return;
    await new Promise<void>((resolve) => {
      drained = resolve;
      scope.onOver(resolve);
    });
  };
  for (;;) {
    abort.throwIfFired();
    const found = await client.get(firstCreated(prefix));
    let rev = found.header?.revision ?? 0;
    let kv = found.kvs[0];
    if (kv === undefined) {
      const race = client.events(prefix, prefixEnd(prefix), rev, abort);
      try {
        while (kv === undefined) {
          const event = await race.next();
          if (event.type === 'put') kv = KeyValue.decode(event.kv);
        }
      } finally {
        race.close();
      }
      rev = kv.modRevision;
    }
    await tell(rev, kv);
    const reign = client.events(kv.key, undefined, rev + 1, abort);
    try {
      for (;;) {
        const event = await reign.next();
        if (event.type === 'delete') break;
        await tell(event.modRev, KeyValue.decode(event.kv));
      }
    } finally {
      reign.close();
    }
  }
}
