/** The token provider that `--auth-token` asks for. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { JwtTokens } from './auth/jwt-tokens.ts';
import { SimpleTokens } from './auth/simple-tokens.ts';
import type { TokenOptions } from './auth/token-options.ts';
import type { TokenProvider } from './auth/tokens.ts';

export interface TokenParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly simpleTtlMs: number;
  readonly readFile: (path: string) => Uint8Array;
}

/** @throws TokenOptionsError */
export function makeTokens(options: TokenOptions, parts: TokenParts): TokenProvider {
  if (options.kind === 'simple') return new SimpleTokens({ clock: parts.clock, random: parts.random, ttlMs: parts.simpleTtlMs });
  const read = (path: string): Uint8Array | undefined => (path === '' ? undefined : parts.readFile(path));
  return new JwtTokens({
    clock: parts.clock,
    signMethod: options.signMethod,
    publicKey: read(options.publicKeyFile),
    privateKey: read(options.privateKeyFile),
    ttlMs: options.ttlMs,
  });
}
