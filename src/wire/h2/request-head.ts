/** What a block of request fields says, checked by the rules of RFC 9113 §8. */
import { parseTimeout } from '../grpc-text.ts';
import type { CallHead } from '../server-call.ts';
import { FieldKind, type HeaderEntry } from './hpack-decoder.ts';

/** Never changed once made: shared by all requests with the same block. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly path: string;
  readonly authority: string;
  /** Undefined: not gRPC. */
  readonly call: CallHead | undefined;
  readonly timeoutMs: number;
  /** The regular fields, in their order. */
  readonly fields: readonly HeaderEntry[];
  /** −1 without one. */
  readonly contentLength: number;
}

export interface ParsedHead {
  method: string;
  scheme: string;
  path: string;
  authority: string;
  contentType: string | undefined;
  contentLength: number;
  fields: HeaderEntry[];
}

/** Reads the fields of a request; undefined when they are malformed. */
export function parseHead(entries: readonly HeaderEntry[]): ParsedHead | undefined {
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let host: string | undefined;
  let contentType: string | undefined;
  let contentLength = -1;
  let regular = 0;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as HeaderEntry;
    const { kind } = entry;
    if (kind >= FieldKind.method && kind <= FieldKind.authority) {
      // Pseudo-headers come first, each once.
      if (regular !== i) return undefined;
      regular = i + 1;
      switch (kind) {
        case FieldKind.method:
          if (method !== undefined) return undefined;
          method = entry.value;
          break;
        case FieldKind.scheme:
          if (scheme !== undefined) return undefined;
          scheme = entry.value;
          break;
        case FieldKind.path:
          if (path !== undefined) return undefined;
          path = entry.value;
          break;
        default:
          if (authority !== undefined) return undefined;
          authority = entry.value;
      }
      continue;
    }
    switch (kind) {
      case FieldKind.bad:
        return undefined;
      case FieldKind.contentType:
        contentType ??= entry.value;
        break;
      case FieldKind.host:
        host = entry.value;
        break;
      case FieldKind.contentLength: {
        const length = Number(entry.value);
        if (contentLength >= 0 && contentLength !== length) return undefined;
        contentLength = length;
        break;
      }
    }
  }
  if (method === undefined || method === '') return undefined;
  // CONNECT has neither scheme nor path; nobody here speaks it, so it is answered like any unknown path.
  if (method === 'CONNECT') {
    if (scheme !== undefined || path !== undefined || authority === undefined) return undefined;
    scheme = '';
    path = '';
  } else if (scheme === undefined || path === undefined || path === '') return undefined;
  return {
    method,
    scheme: scheme ?? '',
    path: path ?? '',
    authority: authority ?? host ?? '',
    contentType,
    contentLength,
    fields: entries.slice(regular),
  };
}

/** Trailers of a request: no pseudo-headers, nothing malformed. */
export function areTrailers(entries: readonly HeaderEntry[]): boolean {
  for (const { kind } of entries) if (kind === FieldKind.bad || (kind >= FieldKind.method && kind <= FieldKind.authority)) return false;
  return true;
}

/** Milliseconds of `grpc-timeout`: Infinity without one, NaN for a bad one. */
export function timeoutOf(entries: readonly HeaderEntry[]): number {
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i] as HeaderEntry;
    if (entry.kind !== FieldKind.timeout) continue;
    const parsed = parseTimeout(entry.value);
    return typeof parsed === 'number' ? parsed : NaN;
  }
  return Infinity;
}

/** True when both say the same but for the value of `grpc-timeout`. */
export function sameButTimeout(a: readonly HeaderEntry[], b: readonly HeaderEntry[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as HeaderEntry;
    const y = b[i] as HeaderEntry;
    if (x === y || (x.kind === FieldKind.timeout && y.kind === FieldKind.timeout)) continue;
    if (x.name !== y.name || x.value !== y.value) return false;
  }
  return true;
}
