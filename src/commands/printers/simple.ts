/** `-w simple`: the lines that scripts read. */
import {
  AlarmType,
  type AlarmMember,
  type RangeResponse,
  type DeleteRangeResponse,
  type PutResponse,
  type StatusResponse,
} from '../../api/gen/etcdserverpb.ts';
import { Permission_Type as PermissionType, type Permission } from '../../api/gen/authpb.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { prefixEnd, equalBytes, utf8Text } from '../../base/bytes.ts';
import { Collected, stdout } from '../frame/output.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import { formatDuration } from '../text/go-numbers.ts';
import { forTerminal, hexText } from '../text/quote.ts';
import type { Format } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

const newline = Buffer.from('\n');
const line = (text: string): void => stdout(`${text}\n`);

export const hex16 = (id: bigint): string => BigInt.asUintN(64, id).toString(16).padStart(16, '0');
export const hexId = (id: bigint): string => BigInt.asUintN(64, id).toString(16);

export function alarmText(a: AlarmMember): string {
  const name = Object.entries(AlarmType).find(([, n]) => n === a.alarm)?.[0] ?? String(a.alarm);
  return `${a.memberID === 0n ? '' : `memberID:${a.memberID} `}${a.alarm === 0 ? '' : `alarm:${name} `}`;
}

export function simpleFormat(options: PrintOptions): Format {
  const terminal = process.stdout.isTTY === true;
  const shown = (b: Uint8Array): Uint8Array => (options.hex ? Buffer.from(hexText(b), 'latin1') : terminal ? forTerminal(b) : b);
  const pair = (out: Collected, kv: KeyValue, valueOnly: boolean): void => {
    if (!valueOnly) {
      out.bytes(shown(kv.key));
      out.bytes(newline);
    }
    out.bytes(shown(kv.value));
    out.bytes(newline);
  };
  const put = (r: PutResponse, out: Collected): void => {
    out.text('OK\n');
    if (r.prevKv !== undefined) pair(out, r.prevKv, false);
  };
  const get = (r: RangeResponse, out: Collected): void => {
    for (const kv of r.kvs) pair(out, kv, options.valueOnly);
  };
  const del = (r: DeleteRangeResponse, out: Collected): void => {
    out.text(`${r.deleted}\n`);
    for (const kv of r.prevKvs) pair(out, kv, false);
  };
  const collected =
    <T>(show: (r: T, out: Collected) => void) =>
    (r: T): void => {
      const out = new Collected();
      show(r, out);
      out.flush();
    };
  return {
    put: collected(put),
    get: collected(get),
    range: () => {
      const out = new Collected();
      return {
        pairs: (kvs) => {
          for (const kv of kvs) pair(out, kv, options.valueOnly);
        },
        end: () => out.flush(),
      };
    },
    del: collected(del),
    txn: collected((r, out) => {
      out.text(r.succeeded ? 'SUCCESS\n' : 'FAILURE\n');
      for (const op of r.responses) {
        out.text('\n');
        if (op.responseDeleteRange !== undefined) del(op.responseDeleteRange, out);
        else if (op.responsePut !== undefined) put(op.responsePut, out);
        else if (op.responseRange !== undefined) get(op.responseRange, out);
        else out.text('unexpected response: a nested txn\n');
      }
    }),
    watch: collected((r, out) => {
      for (const e of r.events) {
        out.text(e.type === 1 ? 'DELETE\n' : 'PUT\n');
        if (e.prevKv !== undefined) pair(out, e.prevKv, false);
        if (e.kv !== undefined) pair(out, e.kv, false);
      }
    }),
    grant: (r) => line(`lease ${hex16(r.ID)} granted with TTL(${r.TTL}s)`),
    revoke: (r) => line(`lease ${hex16(r.id)} revoked`),
    keepAlive: (r) => line(`lease ${hex16(r.ID)} keepalived with TTL(${r.TTL})`),
    timeToLive: ({ response: r, keys }) => {
      if (r.grantedTTL === 0 && r.TTL === -1) return line(`lease ${hex16(r.ID)} already expired`);
      const text = `lease ${hex16(r.ID)} granted with TTL(${r.grantedTTL}s), remaining(${r.TTL}s)`;
      line(keys ? `${text}, attached keys([${r.keys.map(utf8Text).join(' ')}])` : text);
    },
    leases: (r) => stdout(`found ${r.leases.length} leases\n${r.leases.map((l) => `${hex16(l.ID)}\n`).join('')}`),
    memberList: (r) => {
      stdout(
        r.members
          .map((m) =>
            [hexId(m.ID), m.name === '' ? 'unstarted' : 'started', m.name, m.peerURLs.join(','), m.clientURLs.join(','), m.isLearner].join(
              ', ',
            ),
          )
          .map((l) => `${l}\n`)
          .join(''),
      );
    },
    member: (r) => line(r.words),
    moveLeader: (r) => line(r.words),
    endpointHealth: (list) => {
      for (const h of list) {
        if (h.error === '') line(`${h.endpoint} is healthy: successfully committed proposal: took = ${formatDuration(h.tookMs)}`);
      }
    },
    endpointStatus: (list) => stdout(list.map((s) => `${statusCells(s.endpoint, s.status).join(', ')}\n`).join('')),
    endpointHashKv: (list) => stdout(list.map((h) => `${h.endpoint}, ${h.hash.hash}, ${h.hash.hashRevision}\n`).join('')),
    alarm: (r) => stdout(r.alarms.map((a) => `${alarmText(a)}\n`.replace(' \n', '\n')).join('')),
    downgrade: (r) => line(r.words),
    authChange: (r) => line(r.words),
    roleGet: ({ role, response }) => line(roleText(role, response.perm)),
    roleList: (r) => stdout(r.roles.map((name) => `${name}\n`).join('')),
    userGet: ({ user, response }) => line(`User: ${user}\nRoles:${response.roles.map((role) => ` ${role}`).join('')}`),
    userList: (r) => stdout(r.users.map((name) => `${name}\n`).join('')),
    authStatus: (r) => line(`Authentication Status: ${r.enabled}\nAuthRevision: ${r.authRevision}`),
  };
}

/** The columns of `endpoint status`. */
export function statusCells(endpoint: string, s: StatusResponse): string[] {
  const unused = s.dbSize === 0 ? 0 : Math.trunc((1 - s.dbSizeInUse / s.dbSize) * 100);
  return [
    endpoint,
    hexId(s.header?.memberId ?? 0n),
    s.version,
    s.storageVersion,
    humanBytes(s.dbSize),
    humanBytes(s.dbSizeInUse),
    `${unused}%`,
    humanBytes(s.dbSizeQuota),
    String(s.leader === s.header?.memberId),
    String(s.isLearner),
    String(s.raftTerm),
    String(s.raftIndex),
    String(s.raftAppliedIndex),
    s.errors.join(', '),
    s.downgradeInfo?.targetVersion ?? '',
    String(s.downgradeInfo?.enabled ?? false),
  ];
}

/** A role with what it may read and write. */
export function roleText(role: string, permissions: readonly Permission[]): string {
  const lines = [`Role ${role}`];
  const show = (p: Permission): string => {
    const key = utf8Text(p.key);
    if (p.rangeEnd.length === 0) return `\t${key}`;
    if (p.rangeEnd.length === 1 && p.rangeEnd[0] === 0) return `\t[${key}, <open ended>`;
    const prefix = p.key.length > 0 && equalBytes(prefixEnd(p.key), p.rangeEnd) ? ` (prefix ${key})` : '';
    return `\t[${key}, ${utf8Text(p.rangeEnd)})${prefix}`;
  };
  const section = (title: string, type: number): void => {
    lines.push(title);
    for (const p of permissions) if (p.permType === type || p.permType === PermissionType.READWRITE) lines.push(show(p));
  };
  section('KV Read:', PermissionType.READ);
  section('KV Write:', PermissionType.WRITE);
  return lines.join('\n');
}
