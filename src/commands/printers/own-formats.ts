/** Formats that etcdctl does not have: `grid` (a table for everything that lists) and `jsonl` (one JSON line an item). */
import { Permission_Type as PermissionType } from '../../api/gen/authpb.ts';
import { AlarmType } from '../../api/gen/etcdserverpb.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { Collected } from '../frame/output.ts';
import { printable } from '../text/quote.ts';
import { box } from './box.ts';
import { jsonTexts, messageJson, type JsonStyle } from './json.ts';
import { hex16 } from './simple.ts';
import { tableFormat } from './table.ts';
import { atOnce, type Format, type RangeSink } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

/** Longer lists are several tables: the width of a column is known only when all its cells are. */
const tableRowsMax = 1000;
/** Characters of tables that are shown together, so that one pager has them all unless there are very many. */
const textMax = 8 * 1024 * 1024;

const nameOf = (values: Readonly<Record<string, number>>, value: number): string =>
  Object.entries(values).find(([, n]) => n === value)?.[0] ?? String(value);

export function gridFormat(options: PrintOptions): Format {
  const grid = (header: readonly string[], rows: readonly (readonly string[])[]): void =>
    options.page(box(header, rows, { align: 'left' }));
  const pairHeader = ['key', 'value', 'version', 'create rev', 'mod rev', 'lease'];
  const pair = (kv: KeyValue): string[] => [
    printable(kv.key),
    printable(kv.value),
    String(kv.version),
    String(kv.createRevision),
    String(kv.modRevision),
    kv.lease === 0n ? '' : hex16(kv.lease),
  ];
  const range = (): RangeSink => {
    let rows: string[][] = [];
    let text = '';
    let drawn = false;
    const draw = (): void => {
      text += box(pairHeader, rows, { align: 'left' });
      rows = [];
      drawn = true;
      if (text.length >= textMax) show();
    };
    const show = (): void => {
      if (text !== '') options.page(text);
      text = '';
    };
    return {
      pairs: (kvs) => {
        for (const kv of kvs) if (rows.push(pair(kv)) === tableRowsMax) draw();
      },
      end: () => {
        if (rows.length > 0 || !drawn) draw();
        show();
      },
    };
  };
  return {
    ...tableFormat(options),
    range,
    get: atOnce(range),
    del: (r) => (r.prevKvs.length > 0 ? grid(pairHeader, r.prevKvs.map(pair)) : grid(['deleted'], [[String(r.deleted)]])),
    leases: (r) =>
      grid(
        ['lease'],
        r.leases.map((l) => [hex16(l.ID)]),
      ),
    timeToLive: ({ response: r }) =>
      grid(['lease', 'granted', 'remaining', 'keys'], [[hex16(r.ID), `${r.grantedTTL}s`, `${r.TTL}s`, r.keys.map(printable).join('\n')]]),
    alarm: (r) =>
      grid(
        ['member', 'alarm'],
        r.alarms.map((a) => [a.memberID.toString(16), nameOf(AlarmType, a.alarm)]),
      ),
    roleGet: ({ response: r }) =>
      grid(
        ['permission', 'key', 'range end'],
        r.perm.map((p) => [nameOf(PermissionType, p.permType).toLowerCase(), printable(p.key), printable(p.rangeEnd)]),
      ),
    roleList: (r) =>
      grid(
        ['role'],
        r.roles.map((name) => [name]),
      ),
    userGet: ({ user, response }) => grid(['user', 'roles'], [[user, response.roles.join(', ')]]),
    userList: (r) =>
      grid(
        ['user'],
        r.users.map((name) => [name]),
      ),
    authStatus: (r) => grid(['enabled', 'auth revision'], [[String(r.enabled), String(r.authRevision)]]),
  };
}

export function jsonLinesFormat(options: PrintOptions): Format {
  const style: JsonStyle = { utf8: options.utf8, hexIds: false };
  const lines = (items: Iterable<string>): void => {
    const out = new Collected();
    for (const item of items) out.text(`${item}\n`);
    out.flush();
  };
  const range = (): RangeSink => ({
    pairs: (kvs) => lines(kvs.map((kv) => messageJson('mvccpb.KeyValue', kv, style))),
    end: () => undefined,
  });
  return {
    ...jsonTexts(style, (json) => lines([json])),
    range,
    get: atOnce(range),
    watch: (r) => lines(r.events.map((e) => messageJson('mvccpb.Event', e, style))),
    leases: (r) => lines(r.leases.map((l) => `{"id":${l.ID}}`)),
    memberList: (r) => lines(r.members.map((m) => messageJson('etcdserverpb.Member', m, style))),
    alarm: (r) => lines(r.alarms.map((a) => messageJson('etcdserverpb.AlarmMember', a, style))),
    roleList: (r) => lines(r.roles.map((name) => JSON.stringify(name))),
    userList: (r) => lines(r.users.map((name) => JSON.stringify(name))),
  };
}
