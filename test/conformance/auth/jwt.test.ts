// JWTs of every kind of strangeness, to a real etcd and to tsetcd: the same are taken, the others refused with the same words.
// More methods: TSETCD_JWT=all npx vitest run test/conformance/auth/jwt.test.ts
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { KV } from '../../../src/api/gen/methods.ts';
import type { RpcError } from '../../../src/api/status.ts';
import { connectGrpcJs } from '../../../src/wire/grpc-js-channel.ts';
import type { Channel } from '../../../src/wire/channel.ts';
import { oneMember, reference, scratch } from '../../support/member.ts';
import { methodOf } from './steps.ts';

const place = scratch();
const ends: (() => Promise<void> | void)[] = [() => place.remove()];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const pem = (key: KeyObject, type: 'spki' | 'pkcs8'): string => key.export({ type, format: 'pem' }) as string;
const secret = 'a secret of some length, shared by members';

interface Method {
  readonly name: string;
  readonly option: string;
  readonly sign: (content: string) => Buffer;
}
function keyFiles(name: string, pair: { publicKey: KeyObject; privateKey: KeyObject }): string {
  const [pub, priv] = [join(place.dir, `${name}.pub`), join(place.dir, `${name}.key`)];
  writeFileSync(pub, pem(pair.publicKey, 'spki'));
  writeFileSync(priv, pem(pair.privateKey, 'pkcs8'));
  return `pub-key=${pub},priv-key=${priv}`;
}
const secretFile = join(place.dir, 'secret');
writeFileSync(secretFile, secret);
const methods: readonly Method[] = [
  { name: 'HS256', option: `priv-key=${secretFile}`, sign: (c) => createHmac('sha256', secret).update(c).digest() },
  { name: 'RS256', option: keyFiles('rsa', rsa), sign: (c) => sign('sha256', Buffer.from(c), rsa.privateKey) },
  {
    name: 'ES256',
    option: keyFiles('ec', ec),
    sign: (c) => sign('sha256', Buffer.from(c), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
  },
  { name: 'EdDSA', option: keyFiles('ed', ed), sign: (c) => sign(null, Buffer.from(c), ed.privateKey) },
];

const part = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const now = Math.floor(Date.now() / 1000);

/** Tokens by what is odd about them. */
function tokens(m: Method, revision: number): [string, string][] {
  const good = { username: 'root', revision, exp: now + 3000 };
  const head = { alg: m.name, typ: 'JWT' };
  const signed = (header: unknown, claims: unknown): string => {
    const content = `${part(header)}.${part(claims)}`;
    return `${content}.${m.sign(content).toString('base64url')}`;
  };
  const whole = signed(head, good);
  const [h = '', c = '', s = ''] = whole.split('.');
  const claims: Record<string, unknown> = {
    'no user': { revision, exp: good.exp },
    'a number for a user': { ...good, username: 7 },
    'null for a user': { ...good, username: null },
    'an empty user': { ...good, username: '' },
    'an unknown user': { ...good, username: 'ghost' },
    'no revision': { username: 'root', exp: good.exp },
    'a text for a revision': { ...good, revision: String(revision) },
    'null for a revision': { ...good, revision: null },
    'an older revision': { ...good, revision: revision - 1 },
    'a newer revision': { ...good, revision: revision + 5 },
    'a revision of zero': { ...good, revision: 0 },
    'no end': { username: 'root', revision },
    'an end that has passed': { ...good, exp: now - 5 },
    'a text for an end': { ...good, exp: String(now + 3000) },
    'null for an end': { ...good, exp: null },
    'an end with a fraction': { ...good, exp: now + 3000.5 },
    'an end of zero': { ...good, exp: 0 },
    'not before now': { ...good, nbf: now + 3000 },
    'not before, passed': { ...good, nbf: now - 10 },
    'a text for not before': { ...good, nbf: 'x' },
    'issued in the future': { ...good, iat: now + 3000 },
    'an audience': { ...good, aud: ['x'], iss: 'y', sub: 'z', jti: '1' },
    'more than is asked': { ...good, __proto__x: 1, extra: { a: [1] } },
    'a list': [good],
    'a text': '"x"',
    null: 'null',
    nothing: '',
    'no JSON': '{',
    'two values': `${JSON.stringify(good)}{}`,
    'a name twice': `{"username":"ghost","username":"root","revision":${revision},"exp":${good.exp}}`,
    'other case': { Username: 'root', Revision: revision, Exp: good.exp },
  };
  const headers: Record<string, unknown> = {
    'no type': { alg: m.name },
    'another type': { alg: m.name, typ: 'at+jwt' },
    'a number for a type': { alg: m.name, typ: 5 },
    'a key id': { ...head, kid: '../../x' },
    'a place of keys': { ...head, jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' },
    'no algorithm': { typ: 'JWT' },
    'an algorithm in lower case': { alg: m.name.toLowerCase(), typ: 'JWT' },
    'a number for an algorithm': { alg: 5, typ: 'JWT' },
    'the algorithm none': { alg: 'none', typ: 'JWT' },
    'another algorithm': { alg: m.name === 'RS256' ? 'RS512' : 'RS256', typ: 'JWT' },
    'an empty header': {},
    'no header': '',
    'a list for a header': [1],
  };
  return [
    ['as it should be', whole],
    ...Object.entries(claims).map(([what, v]) => [what, signed(head, v)] as [string, string]),
    ...Object.entries(headers).map(([what, v]) => [what, signed(v, good)] as [string, string]),
    ['no signature', `${h}.${c}.`],
    ['two parts', `${h}.${c}`],
    ['four parts', `${whole}.x`],
    ['a dot before', `.${whole}`],
    ['none without signature', `${part({ alg: 'none', typ: 'JWT' })}.${c}.`],
    ['None without signature', `${part({ alg: 'None' })}.${c}.`],
    [
      'signed by the public key',
      (() => {
        const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${c}`;
        return `${content}.${createHmac('sha256', pem(rsa.publicKey, 'spki')).update(content).digest('base64url')}`;
      })(),
    ],
    ['a changed signature', `${h}.${c}.${s.slice(0, -4)}AAAA`],
    ['a cut signature', `${h}.${c}.${s.slice(0, -8)}`],
    ['padding', `${h}.${c}.${s}==`],
    ['the other alphabet', `${h}.${c}.${s.replaceAll('-', '+').replaceAll('_', '/')}+`],
    ['claims of another', `${h}.${part({ ...good, username: 'ghost' })}.${s}`],
    ['a blank behind', `${whole} x`],
    ['dots', '.'.repeat(100)],
    ['a simple token', 'AAAAAAAAAAAAAAAA.7'],
    ['nothing at all', ''],
  ];
}

/** The one difference that is meant. */
const endless = new Set(['no end', 'an end of zero']);

describe.skipIf(reference('etcd') === undefined)('JWTs beside a real etcd', () => {
  it.each(methods.slice(0, process.env['TSETCD_JWT'] === 'all' ? 4 : 2).map((m) => [m.name, m] as const))(
    'of %s',
    async (_name, m) => {
      const channels: Channel[] = [];
      let revision = 0;
      for (const kind of ['etcd', 'tsetcd'] as const) {
        const member = await oneMember({
          kind,
          args: ['--bcrypt-cost', '4', '--log-level', 'error', '--auth-token', `jwt,sign-method=${m.name},${m.option},ttl=1h`],
        });
        ends.push(() => member.remove());
        const channel = connectGrpcJs(
          { text: member.endpoint, address: member.endpoint, secure: false, unix: false },
          { tls: undefined, connectTimeoutMs: 30_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
        );
        ends.push(() => channel.close());
        channels.push(channel);
        const call = (name: string, request: object): Promise<unknown> => channel.unary(methodOf(name), request, { timeoutMs: 30_000 });
        await call('UserAdd', { name: 'root', password: 'secret-1' });
        await call('UserGrantRole', { user: 'root', role: 'root' });
        await call('AuthEnable', {});
        revision = ((await call('AuthStatus', {})) as { authRevision: number }).authRevision;
      }
      const answer = async (channel: Channel, token: string): Promise<string> =>
        channel.unary(KV.range, { key: Buffer.from('a') }, { metadata: { token }, timeoutMs: 30_000 }).then(
          () => 'served',
          (e: RpcError) => `${e.code} ${e.message}`,
        );
      const different: string[] = [];
      let served = 0;
      for (const [what, token] of tokens(m, revision)) {
        const [theirs, ours] = (await Promise.all(channels.map((c) => answer(c, token)))) as [string, string];
        if (ours === 'served') served++;
        // A token that never ends is refused here (S-038), taken there.
        if (endless.has(what)) {
          expect([theirs, ours]).toEqual(['served', '16 etcdserver: invalid auth token']);
          continue;
        }
        if (theirs !== ours) different.push(`${what}: etcd ${theirs}, tsetcd ${ours}`);
      }
      expect(different).toEqual([]);
      expect(served).toBeGreaterThan(3);
    },
    120_000,
  );
});
