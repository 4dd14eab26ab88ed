/** `-w fields`: one `"Name" : value` line a field. */
import {
  AlarmType,
  type DeleteRangeResponse,
  type PutResponse,
  type RangeResponse,
  type ResponseHeader,
} from '../../api/gen/etcdserverpb.ts';
import { Permission_Type as PermissionType } from '../../api/gen/authpb.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { Collected } from '../frame/output.ts';
import { formatDuration } from '../text/go-numbers.ts';
import { quote } from '../text/quote.ts';
import { hex16, hexId } from './simple.ts';
import type { Format } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

const nameOf = (values: Readonly<Record<string, number>>, value: number): string =>
  Object.entries(values).find(([, n]) => n === value)?.[0] ?? String(value);

export function fieldsFormat(options: PrintOptions): Format {
  const out = new Collected();
  const field = (name: string, value: unknown): void => out.text(`"${name}" : ${String(value)}\n`);
  const text = (name: string, value: Uint8Array | string): void => field(name, quote(value));
  const id = (name: string, value: bigint): void => field(name, options.hex ? hexId(value) : value);
  const leaseId = (name: string, value: bigint): void => field(name, options.hex ? hex16(value) : value);
  const header = (h: ResponseHeader | undefined): void => {
    id('ClusterID', h?.clusterId ?? 0n);
    id('MemberID', h?.memberId ?? 0n);
    if ((h?.revision ?? 0) > 0) field('Revision', h?.revision);
    field('RaftTerm', h?.raftTerm ?? 0);
  };
  const pair = (prefix: string, kv: KeyValue): void => {
    text(`${prefix}Key`, kv.key);
    field(`${prefix}CreateRevision`, kv.createRevision);
    field(`${prefix}ModRevision`, kv.modRevision);
    field(`${prefix}Version`, kv.version);
    text(`${prefix}Value`, kv.value);
    leaseId(`${prefix}Lease`, kv.lease);
  };
  const put = (r: PutResponse): void => {
    header(r.header);
    if (r.prevKv !== undefined) pair('Prev', r.prevKv);
  };
  const get = (r: RangeResponse): void => {
    header(r.header);
    for (const kv of r.kvs) pair('', kv);
    field('More', r.more);
    field('Count', r.count);
  };
  const del = (r: DeleteRangeResponse): void => {
    header(r.header);
    field('Deleted', r.deleted);
    for (const kv of r.prevKvs) pair('Prev', kv);
  };
  const whole =
    <T>(show: (value: T) => void) =>
    (value: T): void => {
      show(value);
      out.flush();
    };
  return {
    put: whole(put),
    get: whole(get),
    range: (head) => {
      header(head.header);
      return {
        pairs: (kvs) => {
          for (const kv of kvs) pair('', kv);
        },
        end: () => {
          field('More', head.more);
          field('Count', head.count);
          out.flush();
        },
      };
    },
    del: whole(del),
    txn: whole((r) => {
      header(r.header);
      field('Succeeded', r.succeeded);
      for (const op of r.responses) {
        if (op.responseDeleteRange !== undefined) del(op.responseDeleteRange);
        else if (op.responsePut !== undefined) put(op.responsePut);
        else if (op.responseRange !== undefined) get(op.responseRange);
        else text('Unknown', 'a nested txn');
      }
    }),
    watch: whole((r) => {
      header(r.header);
      for (const e of r.events) {
        field('Type', e.type === 1 ? 'DELETE' : 'PUT');
        if (e.prevKv !== undefined) pair('Prev', e.prevKv);
        if (e.kv !== undefined) pair('', e.kv);
      }
    }),
    grant: whole((r) => {
      header(r.header);
      leaseId('ID', r.ID);
      field('TTL', r.TTL);
    }),
    revoke: whole((r) => header(r.response.header)),
    keepAlive: whole((r) => {
      header(r.header);
      leaseId('ID', r.ID);
      field('TTL', r.TTL);
    }),
    timeToLive: whole(({ response: r }) => {
      header(r.header);
      leaseId('ID', r.ID);
      field('TTL', r.TTL);
      field('GrantedTTL', r.grantedTTL);
      for (const key of r.keys) text('Key', key);
    }),
    leases: whole((r) => {
      header(r.header);
      for (const l of r.leases) leaseId('ID', l.ID);
    }),
    memberList: whole((r) => {
      header(r.header);
      for (const m of r.members) {
        id('ID', m.ID);
        text('Name', m.name);
        for (const url of m.peerURLs) text('PeerURL', url);
        for (const url of m.clientURLs) text('ClientURL', url);
        field('IsLearner', m.isLearner);
        out.text('\n');
      }
    }),
    endpointHealth: whole((list) => {
      for (const h of list) {
        text('Endpoint', h.endpoint);
        field('Health', h.health);
        field('Took', formatDuration(h.tookMs));
        field('Error', h.error);
        out.text('\n');
      }
    }),
    endpointStatus: whole((list) => {
      for (const { endpoint, status: s } of list) {
        header(s.header);
        text('Version', s.version);
        text('StorageVersion', s.storageVersion);
        field('DBSize', s.dbSize);
        field('DBSizeInUse', s.dbSizeInUse);
        field('DBSizeQuota', s.dbSizeQuota);
        // In decimal also with --hex, as etcdctl has it.
        field('Leader', s.leader);
        field('IsLearner', s.isLearner);
        field('RaftIndex', s.raftIndex);
        field('RaftTerm', s.raftTerm);
        field('RaftAppliedIndex', s.raftAppliedIndex);
        field('Errors', `[${s.errors.join(' ')}]`);
        text('Endpoint', endpoint);
        text('DowngradeTargetVersion', s.downgradeInfo?.targetVersion ?? '');
        field('DowngradeEnabled', s.downgradeInfo?.enabled ?? false);
        out.text('\n');
      }
    }),
    endpointHashKv: whole((list) => {
      for (const { endpoint, hash } of list) {
        header(hash.header);
        text('Endpoint', endpoint);
        field('Hash', hash.hash);
        field('HashRevision', hash.hashRevision);
        out.text('\n');
      }
    }),
    alarm: whole((r) => {
      header(r.header);
      for (const a of r.alarms) {
        id('MemberID', a.memberID);
        field('AlarmType', nameOf(AlarmType, a.alarm));
        out.text('\n');
      }
    }),
    authChange: whole((r) => header(r.message.header)),
    roleGet: whole(({ response: r }) => {
      header(r.header);
      for (const p of r.perm) {
        field('PermType', ` ${nameOf(PermissionType, p.permType)}`);
        text('Key', p.key);
        text('RangeEnd', p.rangeEnd);
      }
    }),
    roleList: whole((r) => {
      header(r.header);
      out.text(`"Roles" :${r.roles.map((name) => ` ${quote(name)}`).join('')}\n`);
    }),
  };
}
