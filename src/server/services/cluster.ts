/** Membership: list, add, remove, update, promote. */
import type { Member, MemberListResponse } from '../../api/gen/etcdserverpb.ts';
import { Cluster } from '../../api/gen/methods.ts';
import { errors, type Status } from '../../api/status.ts';
import type { MemberDone } from '../consensus/facade.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import type { UnaryCall } from '../../wire/call.ts';
import { passes, type ServiceContext } from './context.ts';

export function registerCluster(context: ServiceContext): void {
  const { member } = context;
  context.unary(Cluster.memberList, (call) => {
    const reply = (): void => call.reply({ header: context.headerMessage(0), members: member.cluster.members().map(wireMember) });
    if (!call.request.linearizable) return reply();
    member.linearizableRead((error) => {
      if (error !== undefined) call.fail(error);
      else reply();
    });
  });
  context.unary(
    Cluster.memberAdd,
    (call) => {
      member.addMember(checkedPeerUrls(call.request.peerURLs) ?? [], call.request.isLearner, (error, result) => {
        if (error !== undefined || result === undefined) return call.fail(wireError(error));
        call.reply({
          header: context.headerMessage(0),
          member: result.member === undefined ? undefined : wireMember(result.member),
          members: result.members.map(wireMember),
        });
      });
    },
    // URLs are looked at before rights, as etcd does.
    { check: (call) => passes(call, checkedPeerUrls(call.request.peerURLs) === undefined ? errors.memberBadURLs : undefined) },
  );
  context.unary(Cluster.memberRemove, (call) => member.removeMember(call.request.ID, listReply(context, call)));
  context.unary(Cluster.memberUpdate, (call) => member.updateMember(call.request.ID, call.request.peerURLs, listReply(context, call)));
  context.unary(Cluster.memberPromote, (call) => member.promoteMember(call.request.ID, listReply(context, call)));
}

type ListCall = Pick<UnaryCall<never, MemberListResponse>, 'reply' | 'fail'>;

function listReply(context: ServiceContext, call: ListCall): MemberDone {
  return (error, result) => {
    if (error !== undefined || result === undefined) return call.fail(wireError(error));
    call.reply({ header: context.headerMessage(0), members: result.members.map(wireMember) });
  };
}

/** "Not enough started members" has a status of its own in etcd's table, yet leaves etcd as Unknown. */
function wireError(error: Status | undefined): Status {
  return error === undefined || error === errors.memberNotEnoughStarted ? errors.memberNotEnoughStartedUnknown : error;
}

export function wireMember(m: ClusterMember): Member {
  return { ID: m.id, name: m.name, peerURLs: [...m.peerUrls], clientURLs: [...m.clientUrls], isLearner: m.isLearner };
}

/**
 * Peer URLs in etcd's form: scheme http, https, unix or unixs, a host with a port (unix: anything), no path. Sorted.
 * Undefined when one is not, or when there are none.
 */
export function checkedPeerUrls(urls: readonly string[]): string[] | undefined {
  if (urls.length === 0) return undefined;
  const out: string[] = [];
  for (const raw of urls) {
    const url = raw.trim();
    const m = /^(https?|unixs?):\/\/([^/?#]*)([^?#]*)/i.exec(url);
    if (m === null) return undefined;
    const [, scheme = '', authority = '', path = ''] = m;
    if (/^https?$/i.test(scheme)) {
      // host:port, with IPv6 in brackets; the host or the port may be empty, as in Go's url.Parse and SplitHostPort.
      const host = authority.slice(authority.lastIndexOf('@') + 1);
      if (!/^(\[[^\]]*\]|[^:[\]]*):[0-9]*$/.test(host)) return undefined;
      if (path !== '') return undefined;
    }
    out.push(url);
  }
  return out.sort();
}
