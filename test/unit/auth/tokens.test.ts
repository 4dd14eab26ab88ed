import { generateKeyPairSync, createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import { SignJWT, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { JwtTokens } from '../../../src/server/auth/jwt-tokens.ts';
import { SimpleTokens } from '../../../src/server/auth/simple-tokens.ts';
import { jwtMethods, parseTokenOptions, TokenOptionsError, type JwtMethod } from '../../../src/server/auth/token-options.ts';
import { TestClock } from '../mvcc/test-clock.ts';

describe('simple tokens', () => {
  const make = (): { clock: TestClock; tokens: SimpleTokens; pass: (ms: number) => void } => {
    const clock = new TestClock();
    const tokens = new SimpleTokens({ clock, random: new SeededRandom(1), ttlMs: 300_000 });
    tokens.enable();
    const pass = (ms: number): void => {
      let over = false;
      clock.after(ms, () => (over = true));
      clock.settle(() => over);
    };
    return { clock, tokens, pass };
  };

  it('are 16 letters, a dot and the index before the entry', () => {
    const { tokens } = make();
    const prefix = tokens.prefix();
    expect(prefix).toMatch(/^[A-Za-z]{16}$/);
    expect(tokens.prefix()).not.toBe(prefix);
    const token = tokens.assign({ username: 'u', index: 41, prefix }).token();
    expect(token).toBe(`${prefix}.41`);
    expect(tokens.indexOf(token)).toBe(42);
    expect(tokens.indexOf('junk')).toBe(0);
    expect(tokens.info(token, 9)).toEqual({ username: 'u', revision: 9 });
  });

  it('S-094: use all letters alike', () => {
    const tokens = new SimpleTokens({ clock: new TestClock(), random: new SeededRandom(2), ttlMs: 1 });
    const counts = new Map<string, number>();
    const rounds = 20_000;
    for (let i = 0; i < rounds; i++) for (const letter of tokens.prefix()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    expect(counts.size).toBe(52);
    const expected = (rounds * 16) / 52;
    let chi = 0;
    for (const n of counts.values()) chi += (n - expected) ** 2 / expected;
    // 51 degrees of freedom, p = 0.001.
    expect(chi).toBeLessThan(87);
  });

  it('end a while after their last use', () => {
    const { tokens, pass } = make();
    const token = tokens.assign({ username: 'u', index: 1, prefix: 'a' }).token();
    const idle = tokens.assign({ username: 'u', index: 1, prefix: 'b' }).token();
    for (let i = 0; i < 3; i++) {
      pass(200_000);
      expect(tokens.info(token, 1)).toBeDefined();
    }
    expect(tokens.info(idle, 1)).toBeUndefined();
    pass(300_001);
    expect(tokens.size).toBe(0);
    expect(tokens.info(token, 1)).toBeUndefined();
  });

  it('S-094: go with their user and when auth is disabled', () => {
    const { tokens } = make();
    const u = tokens.assign({ username: 'u', index: 1, prefix: 'a' }).token();
    const v = tokens.assign({ username: 'v', index: 1, prefix: 'b' }).token();
    tokens.invalidateUser('u');
    expect(tokens.info(u, 1)).toBeUndefined();
    expect(tokens.info(v, 1)).toBeDefined();
    tokens.disable();
    expect(tokens.size).toBe(0);
  });
});

describe('--auth-token', () => {
  it('is parsed', () => {
    expect(parseTokenOptions('simple')).toEqual({ kind: 'simple' });
    expect(parseTokenOptions('jwt,sign-method=RS256,pub-key=a.pem,priv-key=b.pem,ttl=1h30m')).toEqual({
      kind: 'jwt',
      signMethod: 'RS256',
      publicKeyFile: 'a.pem',
      privateKeyFile: 'b.pem',
      ttlMs: 5_400_000,
    });
    expect(parseTokenOptions('jwt,sign-method=HS256,priv-key=k')).toMatchObject({ ttlMs: 300_000, publicKeyFile: '' });
  });

  it.each([
    ['', 'auth: invalid auth options'],
    ['paseto', 'auth: invalid auth options'],
    ['jwt,sign-method', 'auth: invalid auth options'],
    ['jwt,ttl=1m,ttl=2m,sign-method=RS256', 'auth: invalid auth options'],
    ['jwt', 'auth: invalid auth signature method'],
    ['jwt,sign-method=none', 'auth: invalid auth signature method'],
    ['jwt,sign-method=RS256,ttl=abc', 'time: invalid duration "abc"'],
  ])('%j is refused', (text, message) => {
    expect(() => parseTokenOptions(text)).toThrow(new TokenOptionsError(message));
  });
});

const pem = (key: KeyObject, type: 'pkcs8' | 'spki'): Buffer => Buffer.from(key.export({ type, format: 'pem' }) as string);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = (namedCurve: string): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('ec', { namedCurve });
const pairs: Partial<Record<JwtMethod, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  ES256: ec('prime256v1'),
  ES384: ec('secp384r1'),
  ES512: ec('secp521r1'),
  EdDSA: generateKeyPairSync('ed25519'),
};
const secret = Buffer.from('a secret of more than thirty-two bytes, and of sixty-four as well: long enough');

function keysOf(method: JwtMethod): {
  publicKey: Buffer | undefined;
  privateKey: Buffer;
  josePrivate: KeyObject | Buffer;
  josePublic: KeyObject | Buffer;
} {
  if (method.startsWith('HS')) return { publicKey: undefined, privateKey: secret, josePrivate: secret, josePublic: secret };
  const pair = pairs[method] ?? rsa;
  return {
    publicKey: pem(pair.publicKey, 'spki'),
    privateKey: pem(pair.privateKey, 'pkcs8'),
    josePrivate: pair.privateKey,
    josePublic: pair.publicKey,
  };
}

const clock = { wall: () => 1_800_000_000_000 };
const make = (signMethod: JwtMethod): JwtTokens => new JwtTokens({ clock, signMethod, ttlMs: 300_000, ...keysOf(signMethod) });

describe('JWTs', () => {
  it.each(jwtMethods)('%s: another library reads ours, and we read its', async (method) => {
    const tokens = make(method);
    const token = tokens.assign({ username: 'ü', revision: 7 }).token();
    const { payload, protectedHeader } = await jwtVerify(token, keysOf(method).josePublic, { currentDate: new Date(clock.wall()) });
    expect(protectedHeader.alg).toBe(method);
    expect(payload).toEqual({ username: 'ü', revision: 7, exp: 1_800_000_300 });
    expect(tokens.info(token)).toEqual({ username: 'ü', revision: 7 });
    const theirs = await new SignJWT({ username: 'x', revision: 3 })
      .setProtectedHeader({ alg: method })
      .setExpirationTime(1_800_000_100)
      .sign(keysOf(method).josePrivate);
    expect(tokens.info(theirs)).toEqual({ username: 'x', revision: 3 });
    expect(tokens.info(`${token.slice(0, -8)}AAAAAAAA`)).toBeUndefined();
    expect(tokens.info(token.slice(0, -8))).toBeUndefined();
  });

  it('S-038: take no other method than the configured one', () => {
    const publicPem = pem(rsa.publicKey, 'spki');
    const part = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url');
    const claims = part({ username: 'root', revision: 1, exp: 1_900_000_000 });
    const forged = [
      `${part({ alg: 'none' })}.${claims}.`,
      `${part({ alg: 'None' })}.${claims}.`,
      ...['RS256', 'HS256'].map((alg) => {
        const content = `${part({ alg })}.${claims}`;
        return `${content}.${createHmac('sha256', publicPem).update(content).digest('base64url')}`;
      }),
      make('PS256').assign({ username: 'root', revision: 1 }).token(),
      make('RS512').assign({ username: 'root', revision: 1 }).token(),
    ];
    const tokens = make('RS256');
    for (const token of forged) expect(tokens.info(token)).toBeUndefined();
    expect(make('PS256').info(make('RS256').assign({ username: 'root', revision: 1 }).token())).toBeUndefined();
  });

  it('S-036: need each claim, of its kind', async () => {
    const tokens = make('HS256');
    const sign = (claims: Record<string, unknown>): Promise<string> =>
      new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
    const good = { username: 'u', revision: 1, exp: 1_800_000_001 };
    expect(tokens.info(await sign(good))).toBeDefined();
    const bad: Record<string, unknown>[] = [
      { ...good, exp: undefined },
      { ...good, exp: 1_800_000_000 },
      { ...good, exp: '1900000000' },
      { ...good, nbf: 1_800_000_002 },
      { ...good, nbf: 'x' },
    ];
    for (const value of [undefined, null, [], {}, 1e300, -1, 1.5, '1', true]) bad.push({ ...good, revision: value });
    for (const value of [undefined, null, [], {}, 5, true]) bad.push({ ...good, username: value });
    for (const claims of bad)
      expect(
        tokens.info(await sign(JSON.parse(JSON.stringify(claims)) as Record<string, unknown>)),
        JSON.stringify(claims),
      ).toBeUndefined();
  });

  it('S-037: are not looked at when they are no tokens', () => {
    const tokens = make('HS256');
    for (const text of ['', '.', '..', '...', 'a.b', 'a.b.c', 'a.b.c.d', '.'.repeat(1 << 20), 'x'.repeat(1 << 20), 'ä.ö.ü']) {
      expect(tokens.info(text)).toBeUndefined();
    }
  });

  it('need fitting keys', () => {
    const bad =
      (signMethod: JwtMethod, publicKey?: Buffer, privateKey?: Buffer): (() => JwtTokens) =>
      () =>
        new JwtTokens({ clock, signMethod, publicKey, privateKey, ttlMs: 1 });
    expect(bad('RS256')).toThrow('auth: missing key data');
    expect(bad('HS256', secret)).toThrow('auth: missing key data');
    expect(bad('RS256', pem(rsa.publicKey, 'spki'), pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'pkcs8'))).toThrow(
      "auth: public and private keys don't match",
    );
    expect(bad('ES256', undefined, keysOf('ES384').privateKey)).toThrow(TokenOptionsError);
    expect(bad('EdDSA', undefined, keysOf('RS256').privateKey)).toThrow(TokenOptionsError);
    expect(bad('RS256', Buffer.from('no key'))).toThrow(TokenOptionsError);
  });

  it('are checked, not made, with a public key alone', () => {
    const verifier = new JwtTokens({ clock, signMethod: 'RS256', publicKey: pem(rsa.publicKey, 'spki'), privateKey: undefined, ttlMs: 1 });
    const token = make('RS256').assign({ username: 'u', revision: 1 }).token();
    expect(verifier.info(token)).toBeDefined();
    expect(verifier.assign({ username: 'u', revision: 1 }).error?.message).toBe('auth: token signing attempted with verify-only key');
    expect(createPublicKey(rsa.privateKey).equals(rsa.publicKey)).toBe(true);
  });
});
