/**
 * What `export` writes and `import` reads. As JSON lines:
 *
 *     {"export":1,"prefix":"config/","revision":123}
 *     {"key":"config/a","value":"on","create_revision":7,"mod_revision":9,"version":2}
 *     {"key":"config/b","value_base64":"/w==","create_revision":8,"mod_revision":8,"version":1,"lease":"694d81417acd4754","ttl":60}
 *     {"end":true}
 *
 * and as YAML the same as one document, the pairs below `keys`. Bytes that are no UTF-8 are base64 under another name. The end mark tells a
 * whole file from one that was cut off.
 */
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { asBuffer } from '../../base/bytes.ts';
import { CommandError, ExitCode } from '../frame/exit.ts';
import { isText } from '../text/quote.ts';

export const formatVersion = 1;

export interface ExportHead {
  readonly export: typeof formatVersion;
  readonly prefix?: string;
  readonly prefix_base64?: string;
  readonly revision: number;
}

/** A pair as a file has it. */
export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** 0n for none. */
  readonly lease: bigint;
  /** Seconds that the lease was granted for; 0 when it was gone already. */
  readonly ttlSeconds: number;
}

function bytesAs(name: string, bytes: Uint8Array): Record<string, string> {
  const b = asBuffer(bytes);
  return isText(bytes) ? { [name]: b.utf8Slice(0, b.length) } : { [`${name}_base64`]: b.toString('base64') };
}

export function headObject(prefix: Uint8Array, revision: number): object {
  return { export: formatVersion, ...(prefix.length === 0 ? {} : bytesAs('prefix', prefix)), revision };
}

/** @param ttlSeconds that the pair's lease was granted for */
export function pairObject(kv: KeyValue, ttlSeconds: number): object {
  return {
    ...bytesAs('key', kv.key),
    ...bytesAs('value', kv.value),
    create_revision: kv.createRevision,
    mod_revision: kv.modRevision,
    version: kv.version,
    ...(kv.lease === 0n ? {} : { lease: BigInt.asUintN(64, kv.lease).toString(16).padStart(16, '0'), ttl: ttlSeconds }),
  };
}

function bad(where: string, why: string): CommandError {
  return new CommandError(ExitCode.InvalidInput, `${where}: ${why}`);
}

/** Undefined when the object has no such bytes. @throws CommandError */
function bytesOf(o: Readonly<Record<string, unknown>>, name: string, where: string): Uint8Array | undefined {
  const text = o[name];
  const coded = o[`${name}_base64`];
  // A number or truth value that somebody wrote into YAML without quotes is meant as its text.
  if (typeof text === 'number' || typeof text === 'boolean' || typeof text === 'bigint') return Buffer.from(String(text), 'utf8');
  if (typeof text === 'string') return Buffer.from(text, 'utf8');
  if (text !== undefined) throw bad(where, `${name} is no text`);
  if (coded === undefined) return undefined;
  if (typeof coded !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(coded)) throw bad(where, `${name}_base64 is no base64`);
  return Buffer.from(coded, 'base64');
}

/** @param where names the place in messages. @throws CommandError */
export function entryOf(value: unknown, where: string): Entry {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(where, 'not a pair of key and value');
  const o = value as Readonly<Record<string, unknown>>;
  const key = bytesOf(o, 'key', where);
  if (key === undefined || key.length === 0) throw bad(where, 'no key');
  const lease = o['lease'];
  if (lease !== undefined && (typeof lease !== 'string' || !/^[0-9a-fA-F]{1,16}$/.test(lease)))
    throw bad(where, 'lease is no id in hexadecimal');
  const ttl = Number(o['ttl'] ?? 0);
  if (!Number.isSafeInteger(ttl) || ttl < 0) throw bad(where, 'ttl is no number of seconds');
  return {
    key,
    value: bytesOf(o, 'value', where) ?? new Uint8Array(0),
    lease: lease === undefined ? 0n : BigInt(`0x${lease}`),
    ttlSeconds: ttl,
  };
}

/** The prefix that was exported. @throws CommandError for a file of another kind or a later version. */
export function prefixOf(head: Readonly<Record<string, unknown>>, where: string): Uint8Array {
  if (Number(head['export']) !== formatVersion) throw bad(where, `made by another version: export ${String(head['export'])}`);
  return bytesOf(head, 'prefix', where) ?? new Uint8Array(0);
}
