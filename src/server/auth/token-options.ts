/** The value of `--auth-token`: `simple`, or `jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=5m`. Files are read by the caller. */

export type TokenOptions =
  | { readonly kind: 'simple' }
  | {
      readonly kind: 'jwt';
      readonly signMethod: JwtMethod;
      /** Paths; empty = not given. */
      readonly publicKeyFile: string;
      readonly privateKeyFile: string;
      readonly ttlMs: number;
    };

export const jwtMethods = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type JwtMethod = (typeof jwtMethods)[number];

/** A bad `--auth-token` or bad key files. The member does not start. */
export class TokenOptionsError extends Error {
  readonly code = 'auth-token';
}

const jwtTtlMsDefault = 5 * 60_000;

/** @throws TokenOptionsError with etcd's text */
export function parseTokenOptions(text: string): TokenOptions {
  const [kind, ...rest] = text.split(',');
  const options = new Map<string, string>();
  for (const option of rest) {
    const pair = option.split('=');
    const name = pair[0] ?? '';
    if (pair.length !== 2 || options.has(name)) throw new TokenOptionsError('auth: invalid auth options');
    options.set(name, pair[1] ?? '');
  }
  if (kind === 'simple') return { kind };
  if (kind !== 'jwt') throw new TokenOptionsError('auth: invalid auth options');
  const signMethod = jwtMethods.find((m) => m === options.get('sign-method'));
  if (signMethod === undefined) throw new TokenOptionsError('auth: invalid auth signature method');
  const ttl = options.get('ttl') ?? '';
  return {
    kind,
    signMethod,
    publicKeyFile: options.get('pub-key') ?? '',
    privateKeyFile: options.get('priv-key') ?? '',
    ttlMs: ttl === '' ? jwtTtlMsDefault : durationMs(ttl),
  };
}

const unitMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration as Go writes them: `5m`, `1h30m`, `1.5s`. */
function durationMs(text: string): number {
  if (!/^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(text)) {
    throw new TokenOptionsError(`time: invalid duration ${JSON.stringify(text)}`);
  }
  let ms = 0;
  for (const [, n, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) ms += Number(n) * (unitMs[unit ?? ''] ?? 0);
  return text.startsWith('-') ? -ms : ms;
}
