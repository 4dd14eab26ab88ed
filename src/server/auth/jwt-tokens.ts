/**
 * Tokens that carry their content: JWTs with the claims `username`, `revision` and `exp`, signed by the one method that the configuration
 * names. Nothing is kept, nothing can be taken back; a token of an older auth revision is refused where it is used.
 *
 * Signing and checking are synchronous (30 µs to 1 ms): a request's user must be known in the turn in which it comes.
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign,
  timingSafeEqual,
  verify,
  type KeyObject,
} from 'node:crypto';
import { Code, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import type { AuthInfo } from '../apply/types.ts';
import { TokenOptionsError, type JwtMethod } from './token-options.ts';
import type { TokenProvider } from './tokens.ts';

export interface JwtOptions {
  readonly clock: Pick<Clock, 'wall'>;
  readonly signMethod: JwtMethod;
  /** Contents of the key files: PEM, or the secret itself for HS methods (which take it from the private key). */
  readonly publicKey: Uint8Array | undefined;
  readonly privateKey: Uint8Array | undefined;
  readonly ttlMs: number;
}

/** A longer token is not looked at. */
const tokenLengthMax = 8192;

const verifyOnly: Status = Object.freeze({ code: Code.Unknown, message: 'auth: token signing attempted with verify-only key' });

/** Name of the curve that goes with an ES method. */
const curves: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' };

export class JwtTokens implements TokenProvider {
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #method: JwtMethod;
  readonly #digest: string | undefined;
  readonly #ttlMs: number;
  readonly #header: string;
  /** The secret of HS methods. */
  readonly #secret: KeyObject | undefined;
  readonly #privateKey: KeyObject | undefined;
  readonly #publicKey: KeyObject | undefined;

  /** @throws TokenOptionsError when keys are missing, do not match or do not fit the method */
  constructor(options: JwtOptions) {
    this.#clock = options.clock;
    this.#method = options.signMethod;
    this.#digest = this.#method === 'EdDSA' ? undefined : `sha${this.#method.slice(2)}`;
    this.#ttlMs = options.ttlMs;
    this.#header = base64url(JSON.stringify({ alg: this.#method, typ: 'JWT' }));
    if (this.#method.startsWith('HS')) {
      if (options.privateKey === undefined || options.privateKey.length === 0) throw new TokenOptionsError('auth: missing key data');
      this.#secret = createSecretKey(options.privateKey);
      return;
    }
    if (options.privateKey !== undefined && options.privateKey.length !== 0) {
      this.#privateKey = readKey(() => createPrivateKey(Buffer.from(options.privateKey ?? [])));
    }
    const own = this.#privateKey === undefined ? undefined : createPublicKey(this.#privateKey);
    if (options.publicKey !== undefined && options.publicKey.length !== 0) {
      this.#publicKey = readKey(() => createPublicKey(Buffer.from(options.publicKey ?? [])));
      if (own !== undefined && !own.equals(this.#publicKey)) throw new TokenOptionsError("auth: public and private keys don't match");
    } else this.#publicKey = own;
    if (this.#publicKey === undefined) throw new TokenOptionsError('auth: missing key data');
    checkKind(this.#publicKey, this.#method);
  }

  prefix(): string {
    return '';
  }

  assign(of: { readonly username: string; readonly revision: number }): { error: Status | undefined; token: () => string } {
    if (this.#secret === undefined && this.#privateKey === undefined) return { error: verifyOnly, token: () => '' };
    return { error: undefined, token: () => this.#sign(of.username, of.revision) };
  }

  info(token: string): AuthInfo | undefined {
    if (token.length > tokenLengthMax) return undefined;
    const first = token.indexOf('.');
    const second = token.indexOf('.', first + 1);
    if (first < 0 || second < 0 || token.indexOf('.', second + 1) >= 0) return undefined;
    const header = jsonOf(token.slice(0, first));
    // The method is what the configuration says, never what the token says. Headers that point at keys are not read.
    if (header === undefined || header.alg !== this.#method || 'crit' in header) return undefined;
    const signature = bytesOf(token.slice(second + 1));
    if (signature === undefined || !this.#verifies(token.slice(0, second), signature)) return undefined;
    const claims = jsonOf(token.slice(first + 1, second));
    return claims === undefined ? undefined : this.#infoOf(claims);
  }

  indexOf(): number {
    return 0;
  }

  invalidateUser(): void {
    // The user's revision went up: tokens of before are refused for it.
  }

  enable(): void {
    // Nothing is kept.
  }

  disable(): void {
    // Nothing is kept.
  }

  #infoOf(claims: Readonly<Record<string, unknown>>): AuthInfo | undefined {
    const { username, revision, exp, nbf } = claims;
    const nowSeconds = this.#clock.wall() / 1000;
    if (typeof exp !== 'number' || !(exp > nowSeconds)) return undefined;
    if (nbf !== undefined && (typeof nbf !== 'number' || !(nbf <= nowSeconds))) return undefined;
    if (typeof username !== 'string' || typeof revision !== 'number') return undefined;
    if (!Number.isSafeInteger(revision) || revision < 0) return undefined;
    return { username, revision };
  }

  #sign(username: string, revision: number): string {
    const exp = Math.floor((this.#clock.wall() + this.#ttlMs) / 1000);
    const content = `${this.#header}.${base64url(JSON.stringify({ exp, revision, username }))}`;
    return `${content}.${this.#signature(content).toString('base64url')}`;
  }

  #signature(content: string): Buffer {
    const bytes = Buffer.from(content, 'latin1');
    if (this.#secret !== undefined)
      return createHmac(this.#digest as string, this.#secret)
        .update(bytes)
        .digest();
    const key = this.#privateKey as KeyObject;
    if (this.#method.startsWith('PS')) {
      return sign(this.#digest, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
    }
    return sign(this.#digest, bytes, this.#method.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' } : key);
  }

  #verifies(content: string, signature: Buffer): boolean {
    if (this.#secret !== undefined) {
      const own = this.#signature(content);
      return own.length === signature.length && timingSafeEqual(own, signature);
    }
    const bytes = Buffer.from(content, 'latin1');
    const key = this.#publicKey as KeyObject;
    try {
      if (this.#method.startsWith('PS')) {
        const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
        return verify(this.#digest, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature);
      }
      return verify(this.#digest, bytes, this.#method.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' } : key, signature);
    } catch {
      // A signature of a shape that the library refuses to look at.
      return false;
    }
  }
}

function readKey(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (cause) {
    throw new TokenOptionsError(`auth: bad key: ${(cause as Error).message}`, { cause });
  }
}

function checkKind(key: KeyObject, method: JwtMethod): void {
  const kind = key.asymmetricKeyType;
  const curve = curves[method];
  const fits =
    method === 'EdDSA'
      ? kind === 'ed25519'
      : curve !== undefined
        ? kind === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve
        : kind === 'rsa';
  if (!fits) throw new TokenOptionsError(`auth: bad key: not one for ${method}`);
}

function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

/** Undefined for what is not base64url without padding. */
function bytesOf(text: string): Buffer | undefined {
  return /^[A-Za-z0-9_-]*$/.test(text) ? Buffer.from(text, 'base64url') : undefined;
}

function jsonOf(part: string): Record<string, unknown> | undefined {
  const bytes = bytesOf(part);
  if (bytes === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
