/**
 * Who a call through the proxy acts for. Nothing is shared between identities: neither cached answers nor watches nor renewals, so that a
 * user sees through the proxy what it would see without (a proxy that merges users hands one the keys of another).
 */
import type { Metadata } from '../../wire/call.ts';

/** What members read from a call's metadata; all else stays here. */
const passed = ['token', 'authorization', 'hasleader'] as const;

export interface Identity {
  /** Equal for calls that may share. */
  readonly key: string;
  /** For the call to the members. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The caller wants to be told when the cluster has no leader. */
  readonly requireLeader: boolean;
}

const nobody: Identity = { key: '', metadata: {}, requireLeader: false };

export function identityOf(metadata: Metadata): Identity {
  let out: Record<string, string> | undefined;
  for (const name of passed) {
    const value = metadata.get(name)?.[0];
    if (typeof value === 'string' && value !== '') (out ??= {})[name] = value;
  }
  if (out === undefined) return nobody;
  return { key: JSON.stringify(out), metadata: out, requireLeader: out['hasleader'] === 'true' };
}

/** Identities that share a cache: whether one asks for a leader says nothing about what it may read. */
export function credentialsOf(identity: Identity): string {
  const { token = '', authorization = '' } = identity.metadata;
  return token === '' && authorization === '' ? '' : `${token}\n${authorization}`;
}
