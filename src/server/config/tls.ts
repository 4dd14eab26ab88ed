/** TLS as the configuration names it: files, and cipher suites and versions by Go's names. Nothing here reads a file. */

import type { TlsSide } from '../../base/tls-side.ts';

export interface TlsConfig extends TlsSide {
  readonly skipClientSanVerification: boolean;
  /** Certificates are made when none are given. */
  readonly auto: boolean;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** @throws Error in etcd's words */
export function tlsVersion(text: string): TlsVersion | undefined {
  if (text === '') return undefined;
  if (text === 'TLS1.2') return 'TLSv1.2';
  if (text === 'TLS1.3') return 'TLSv1.3';
  throw new Error(`unexpected TLS version ${JSON.stringify(text)} (must be one of: TLS1.2, TLS1.3)`);
}

/** TLS 1.3's suites are always offered, as Go does. */
const suites13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** Suites of TLS 1.2: Go's name, OpenSSL's name. Empty: known by name and gone from OpenSSL. */
const suites12 = new Map([
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', 'ECDHE-ECDSA-AES128-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'ECDHE-RSA-AES128-SHA256'],
  ['TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256'],
  ['TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384'],
  ['TLS_RSA_WITH_AES_128_CBC_SHA256', 'AES128-SHA256'],
  ['TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA'],
  ['TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA'],
  ['TLS_RSA_WITH_RC4_128_SHA', ''],
  ['TLS_ECDHE_RSA_WITH_RC4_128_SHA', ''],
  ['TLS_ECDHE_ECDSA_WITH_RC4_128_SHA', ''],
  ['TLS_RSA_WITH_3DES_EDE_CBC_SHA', ''],
  ['TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA', ''],
]);

/** When none are named: those with forward secrecy and authenticated encryption. */
const defaultSuites = [...suites12.keys()].slice(0, 6);

/** Go's names as OpenSSL's cipher list. @throws Error in etcd's words for an unknown name, by name for one that is not offered */
export function cipherList(names: readonly string[]): string {
  const chosen = [...suites13];
  for (const name of names.length === 0 ? defaultSuites : names) {
    if (suites13.includes(name)) continue;
    const suite = suites12.get(name);
    if (suite === undefined) throw new Error(`unexpected TLS cipher suite ${JSON.stringify(name)}`);
    if (suite === '') throw new Error(`TLS cipher suite ${JSON.stringify(name)} is not supported by this build`);
    if (!chosen.includes(suite)) chosen.push(suite);
  }
  if (names.length > 0 && !names.some((n) => /^TLS_ECDHE_(RSA|ECDSA)_WITH_AES_128_GCM_SHA256$/.test(n))) {
    throw new Error(
      'http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)',
    );
  }
  return chosen.join(':');
}

/** The scheme of a URL that is served or reached by TLS. */
export function isSecureUrl(url: string): boolean {
  return /^(https|unixs):/.test(url);
}
