/** `-w json`: one line, names as in the wire schema, 64-bit numbers as numbers, bytes as base64, zero values left out. */
import type { ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { messageFields, type FieldRow } from '../../api/gen/schema.ts';
import { asBuffer } from '../../base/bytes.ts';
import { Collected } from '../frame/output.ts';
import { formatDuration } from '../text/go-numbers.ts';
import { isText } from '../text/quote.ts';
import { hexId } from './simple.ts';
import type { RangeHead } from '../kv/range-parts.ts';
import type { Format, RangeSink } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

type Message = Readonly<Record<string, unknown>>;

/** How bytes and ids are written. */
export interface JsonStyle {
  readonly utf8: boolean;
  /** Ids of members and clusters in hexadecimal, as strings. */
  readonly hexIds: boolean;
}

const plain: JsonStyle = { utf8: false, hexIds: false };

/** A string, with the characters escaped that Go escapes. */
export function jsonString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029\b\f]|\\b|\\f/g,
    (c) => ({ '\\b': '\\b', '\\f': '\\f' })[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function jsonBytes(b: Uint8Array, style: JsonStyle = plain): string {
  if (style.utf8 && isText(b)) return jsonString(asBuffer(b).utf8Slice(0, b.length));
  return `"${asBuffer(b).toString('base64')}"`;
}

function scalar(row: FieldRow, value: unknown, style: JsonStyle): string {
  switch (row[3]) {
    case 'message':
      return messageJson(row[4], value as object, style);
    case 'string':
      return jsonString(value as string);
    case 'bytes':
      return jsonBytes(value as Uint8Array, style);
    case 'bigUint64':
      return style.hexIds ? `"${hexId(value as bigint)}"` : String(value);
    default:
      return String(value);
  }
}

function isZero(row: FieldRow, value: unknown): boolean {
  if (row[3] === 'message') return false;
  if (row[3] === 'bytes') return (value as Uint8Array).length === 0;
  return value === 0 || value === 0n || value === false || value === '';
}

/** A message of the wire schema. */
export function messageJson(typeName: string, message: object, style: JsonStyle = plain): string {
  const parts: string[] = [];
  for (const row of messageFields[typeName] ?? []) {
    const [, wireName, name, , , repeated, oneof] = row;
    const value = (message as Message)[name];
    if (value === undefined) continue;
    if (repeated === 1) {
      const list = value as readonly unknown[];
      if (list.length > 0) parts.push(`"${wireName}":[${list.map((v) => scalar(row, v, style)).join(',')}]`);
    } else if (oneof !== '')
      parts.push(`${jsonString(oneof.charAt(0).toUpperCase() + oneof.slice(1))}:{"${wireName}":${scalar(row, value, style)}}`);
    else if (!isZero(row, value)) parts.push(`"${wireName}":${scalar(row, value, style)}`);
  }
  return `{${parts.join(',')}}`;
}

/** Header fields without their braces, for the messages of etcd's client that embed them. */
function embedded(header: ResponseHeader | undefined): string {
  const inner = header === undefined ? '' : messageJson('etcdserverpb.ResponseHeader', header).slice(1, -1);
  return inner === '' ? '' : `${inner},`;
}

/** Pieces of JSON for each kind; `write` gets whole lines without their end. */
export function jsonTexts(style: JsonStyle, write: (json: string) => void): Format {
  const message = (typeName: string, m: object): string => messageJson(`etcdserverpb.${typeName}`, m, style);
  const show =
    (typeName: string) =>
    (m: object): void =>
      write(message(typeName, m));
  return {
    put: show('PutResponse'),
    get: show('RangeResponse'),
    del: show('DeleteRangeResponse'),
    txn: show('TxnResponse'),
    watch: (r) =>
      write(
        `{"Header":${r.header === undefined ? '{}' : message('ResponseHeader', r.header)},"Events":${
          r.events.length === 0 ? 'null' : `[${r.events.map((e) => messageJson('mvccpb.Event', e, style)).join(',')}]`
        },"CompactRevision":${r.compactRevision},"Canceled":${r.canceled},"Created":${r.created},"CancelReason":${jsonString(r.cancelReason)}}`,
      ),
    grant: (r) => write(`{${embedded(r.header)}"ID":${r.ID},"TTL":${r.TTL},"Error":${jsonString(r.error)}}`),
    revoke: (r) => write(message('LeaseRevokeResponse', r.response)),
    keepAlive: (r) => write(`{${embedded(r.header)}"ID":${r.ID},"TTL":${r.TTL}}`),
    timeToLive: ({ response: r }) =>
      write(
        `{${embedded(r.header)}"id":${r.ID},"ttl":${r.TTL},"granted-ttl":${r.grantedTTL},"keys":${
          r.keys.length === 0 ? 'null' : `[${r.keys.map((k) => jsonBytes(k, style)).join(',')}]`
        }}`,
      ),
    leases: (r) => write(`{${embedded(r.header)}"leases":[${r.leases.map((l) => `{"id":${l.ID}}`).join(',')}]}`),
    memberList: show('MemberListResponse'),
    member: (r) => write(messageJson(r.typeName, r.message, style)),
    moveLeader: () => write('{}'),
    endpointHealth: (list) =>
      write(
        `[${list
          .map(
            (h) =>
              `{"endpoint":${jsonString(h.endpoint)},"health":${h.health},"took":${jsonString(formatDuration(h.tookMs))}${
                h.error === '' ? '' : `,"error":${jsonString(h.error)}`
              }}`,
          )
          .join(',')}]`,
      ),
    endpointStatus: (list) =>
      write(
        list.length === 0
          ? 'null'
          : `[${list.map((s) => `{"Endpoint":${jsonString(s.endpoint)},"Status":${message('StatusResponse', s.status)}}`).join(',')}]`,
      ),
    endpointHashKv: (list) =>
      write(
        list.length === 0
          ? 'null'
          : `[${list.map((h) => `{"Endpoint":${jsonString(h.endpoint)},"HashKV":${message('HashKVResponse', h.hash)}}`).join(',')}]`,
      ),
    alarm: show('AlarmResponse'),
    downgrade: (r) => write(message('DowngradeResponse', r.response)),
    authChange: (r) => write(messageJson(r.typeName, r.message, style)),
    roleGet: (r) => write(message('AuthRoleGetResponse', r.response)),
    roleList: show('AuthRoleListResponse'),
    userGet: (r) => write(message('AuthUserGetResponse', r.response)),
    userList: show('AuthUserListResponse'),
    authStatus: show('AuthStatusResponse'),
  };
}

/** `{"header":…,"kvs":[…],"more":…,"count":…}`, piece by piece. */
export function jsonRange(style: JsonStyle): (head: RangeHead) => RangeSink {
  return (head) => {
    const out = new Collected();
    let any = false;
    const before = head.header === undefined ? '' : `"header":${messageJson('etcdserverpb.ResponseHeader', head.header, style)}`;
    out.text(`{${before}`);
    return {
      pairs(kvs) {
        for (const kv of kvs) {
          out.text(any ? ',' : `${before === '' ? '' : ','}"kvs":[`);
          any = true;
          out.text(messageJson('mvccpb.KeyValue', kv, style));
        }
      },
      end() {
        const tail = messageJson('etcdserverpb.RangeResponse', { more: head.more, count: head.count }, style).slice(1);
        out.text(`${any ? ']' : ''}${tail === '}' || (before === '' && !any) ? '' : ','}${tail}\n`);
        out.flush();
      },
    };
  };
}

function printLine(text: string): void {
  const out = new Collected();
  out.text(`${text}\n`);
  out.flush();
}

export function jsonFormat(options: PrintOptions): Format {
  const style = { utf8: options.utf8, hexIds: false };
  const base = { ...jsonTexts(style, printLine), range: jsonRange(style) };
  if (!options.hex) return base;
  // --hex changes the ids of the member commands only.
  const hex = jsonTexts({ utf8: options.utf8, hexIds: true }, printLine);
  const { memberList, member } = hex;
  return { ...base, ...(memberList === undefined ? {} : { memberList }), ...(member === undefined ? {} : { member }) };
}
