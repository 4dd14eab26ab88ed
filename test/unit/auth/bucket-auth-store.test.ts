// What the auth recordings do not show: stale revisions, restart and snapshots, closed failures, who a call is from, secrets.
import { describe, expect, it } from 'vitest';
import { InternalRaftRequest } from '../../../src/api/gen/etcdserverpb.ts';
import { User } from '../../../src/api/gen/authpb.ts';
import { errors, type Status } from '../../../src/api/status.ts';
import { emptyBytes, latin1, utf8 } from '../../../src/base/bytes.ts';
import type { Log } from '../../../src/base/log.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { AuthInfo, RaftRequest } from '../../../src/server/apply/types.ts';
import { BucketAuthStore, type BucketAuthStoreOptions } from '../../../src/server/auth/bucket-auth-store.ts';
import type { PasswordHasher } from '../../../src/server/auth/password-hasher.ts';
import type { TokenProvider } from '../../../src/server/auth/tokens.ts';
import { MiniMember, plainHasher } from '../apply/mini-member.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const peer = { address: '10.0.0.1:5', commonName: undefined, viaGateway: false };
const noTokens: TokenProvider = {
  prefix: () => 'p',
  assign: () => ({ error: undefined, token: () => 't' }),
  info: (token, revision) => (token.startsWith('of-') ? { username: token.slice(3), revision } : undefined),
  indexOf: () => 0,
  invalidateUser() {},
  enable() {},
  disable() {},
};

function makeStore(options: Partial<BucketAuthStoreOptions> & { backend?: ModelBackend } = {}): BucketAuthStore {
  return new BucketAuthStore({
    backend: new ModelBackend(),
    tokens: noTokens,
    hasher: plainHasher,
    bcryptCost: 10,
    certificateUsers: false,
    log: silentLog,
    ...options,
  });
}

function apply(store: BucketAuthStore, request: RaftRequest): Status | undefined {
  let prepared: RaftRequest = request;
  store.prepare(request, (error, ready) => {
    expect(error).toBeUndefined();
    prepared = ready ?? {};
  });
  return store.apply(InternalRaftRequest.decode(InternalRaftRequest.encode(prepared))).error;
}

/** root and a user `u` with the role `r`, which may read and write [a, m). */
function withUsers(store: BucketAuthStore): BucketAuthStore {
  const steps: RaftRequest[] = [
    { authUserAdd: { name: 'root', password: 'rp' } },
    { authUserGrantRole: { user: 'root', role: 'root' } },
    { authUserAdd: { name: 'u', password: 'p' } },
    { authRoleAdd: { name: 'r' } },
    { authUserGrantRole: { user: 'u', role: 'r' } },
    { authRoleGrantPermission: { name: 'r', perm: { permType: 2, key: bytes('a'), rangeEnd: bytes('m') } } },
    { authEnable: {} },
  ];
  for (const step of steps) expect(apply(store, step)).toBeUndefined();
  return store;
}

const put = (key: string): RaftRequest => ({ put: { key: bytes(key), value: bytes('v') } });

describe('the auth revision', () => {
  it('of a request must not be older than the store’s', () => {
    const store = withUsers(makeStore());
    const info: AuthInfo = { username: 'u', revision: store.revision };
    expect(store.check(info, put('a'))).toBeUndefined();
    apply(store, { authRoleAdd: { name: 'other' } });
    expect(store.check(info, put('a'))).toBe(errors.authOldRevision);
    expect(store.check({ ...info, revision: store.revision }, put('a'))).toBeUndefined();
    // Root is no exception where keys are concerned.
    expect(store.check({ username: 'root', revision: 1 }, put('a'))).toBe(errors.authOldRevision);
  });

  it('is 1 at first and is stored', () => {
    const backend = new ModelBackend();
    expect(makeStore({ backend }).revision).toBe(1);
    expect(backend.get('auth', utf8('authRevision'))).toEqual(Buffer.from('0000000000000001', 'hex'));
    expect(backend.get('auth', utf8('authEnabled'))).toBeUndefined();
    expect(makeStore({ backend }).revision).toBe(1);
  });
});

describe('failure is closed', () => {
  const store = withUsers(makeStore());
  const now = store.revision;
  it.each<[string, AuthInfo | undefined, Status | undefined]>([
    ['nobody', undefined, errors.userEmpty],
    ['revision 0', { username: 'u', revision: 0 }, errors.userEmpty],
    ['an unknown user', { username: 'ghost', revision: now }, errors.permissionDenied],
    ['an empty name', { username: '', revision: now }, errors.permissionDenied],
    ['a name of the prototype', { username: '__proto__', revision: now }, errors.permissionDenied],
    ['a user without the permission', { username: 'u', revision: now }, errors.permissionDenied],
    ['root', { username: 'root', revision: now }, undefined],
  ])('%s', (_, info, outcome) => {
    expect(store.check(info, put('z'))).toBe(outcome);
  });

  it('also for those who administer', () => {
    expect(store.checkAdmin(undefined)).toBe(errors.userEmpty);
    expect(store.checkAdmin({ username: '', revision: now })).toBe(errors.userEmpty);
    expect(store.checkAdmin({ username: 'ghost', revision: now })).toBe(errors.permissionDenied);
    expect(store.checkAdmin({ username: 'u', revision: now })).toBe(errors.permissionDenied);
    expect(store.checkAdmin(store.rootInfo())).toBeUndefined();
    expect(store.check({ username: 'u', revision: now }, { authUserAdd: { name: 'x' } })).toBe(errors.permissionDenied);
  });

  it('and a role that is gone gives nothing', () => {
    const s = withUsers(makeStore());
    apply(s, { authRoleDelete: { role: 'r' } });
    expect(s.check({ username: 'u', revision: s.revision }, put('a'))).toBe(errors.permissionDenied);
  });
});

describe('what a request needs', () => {
  const store = withUsers(makeStore());
  const info: AuthInfo = { username: 'u', revision: store.revision };
  const denied = (r: RaftRequest): boolean => store.check(info, r) === errors.permissionDenied;

  it('S-002: is found at any depth of a txn, in compares and both branches', () => {
    let inside: NonNullable<NonNullable<RaftRequest['txn']>['success']>[number] = { requestPut: { key: bytes('z') } };
    for (let depth = 0; depth < 10; depth++) {
      expect(denied({ txn: { success: [inside] } })).toBe(true);
      expect(denied({ txn: { failure: [inside] } })).toBe(true);
      inside = { requestTxn: depth % 2 === 0 ? { success: [inside] } : { failure: [inside] } };
    }
    expect(denied({ txn: { compare: [{ key: bytes('z') }] } })).toBe(true);
    expect(denied({ txn: { compare: [{ key: bytes('a'), rangeEnd: Buffer.of(0) }] } })).toBe(true);
    expect(denied({ txn: { success: [{ requestTxn: { compare: [{ key: bytes('z') }] } }] } })).toBe(true);
    expect(denied({ txn: { success: [{ requestTxn: { success: [{ requestPut: { key: bytes('b') } }] } }] } })).toBe(false);
  });

  it('S-004: is read the same way as the store reads ranges', () => {
    const range = (key: string, end: Uint8Array): boolean => denied({ range: { key: bytes(key), rangeEnd: end } });
    expect(range('a', bytes('m'))).toBe(false);
    expect(range('a', bytes('m\0'))).toBe(true);
    expect(range('a', Buffer.of(0))).toBe(true);
    expect(range('b', bytes('a'))).toBe(false);
    expect(range('z', bytes('a'))).toBe(true);
    expect(range('l\xff\xff', emptyBytes)).toBe(false);
    expect(range('m', emptyBytes)).toBe(true);
  });

  it('S-003, S-006: covers the keys of a lease that a put would join', () => {
    const m = new MiniMember();
    withUsers(m.auth);
    m.apply({ leaseGrant: { ID: 5n, TTL: 60 } }, m.auth.rootInfo());
    m.apply({ put: { key: bytes('z'), lease: 5n } }, m.auth.rootInfo());
    const user: AuthInfo = { username: 'u', revision: m.auth.revision };
    const joining = { key: bytes('a'), value: bytes('v'), lease: 5n };
    expect(m.apply({ put: joining }, user).error).toBe(errors.permissionDenied);
    expect(m.apply({ txn: { success: [{ requestTxn: { success: [{ requestPut: joining }] } }] } }, user).error).toBe(
      errors.permissionDenied,
    );
    expect(m.apply({ leaseRevoke: { ID: 5n } }, user).error).toBe(errors.permissionDenied);
    expect(m.lessor.has(5n)).toBe(true);
    expect(m.apply({ leaseRevoke: { ID: 5n } }, m.auth.rootInfo()).error).toBeUndefined();
  });
});

describe('a denied entry', () => {
  it('S-046: leaves no trace but the index', () => {
    const m = new MiniMember();
    withUsers(m.auth);
    const before = m.kv.currentRev;
    const index = m.index;
    expect(m.apply(put('a')).error).toBe(errors.userEmpty);
    expect(m.apply(put('z'), { username: 'u', revision: m.auth.revision }).error).toBe(errors.permissionDenied);
    expect(m.kv.currentRev).toBe(before);
    expect(m.backend.consistentIndex).toBe(index + 2);
  });
});

describe('auth state', () => {
  it('S-046, S-047: is there after a restart and after a received snapshot', () => {
    const backend = new ModelBackend();
    const first = withUsers(makeStore({ backend }));
    const again = makeStore({ backend });
    expect(again.enabled).toBe(true);
    expect(again.revision).toBe(first.revision);
    const info: AuthInfo = { username: 'u', revision: first.revision };
    expect(again.check(info, put('a'))).toBeUndefined();
    // Now as if a snapshot had replaced the buckets.
    const other = new ModelBackend();
    const member = withUsers(makeStore({ backend: other }));
    for (const [key] of other.entries('authRoles')) other.delete('authRoles', key);
    member.restore();
    expect(member.check({ username: 'u', revision: member.revision }, put('a'))).toBe(errors.permissionDenied);
  });

  it('is stored as etcd stores it', () => {
    const backend = new ModelBackend();
    withUsers(makeStore({ backend }));
    const [key, value] = backend.entries('authUsers')[1] ?? [emptyBytes, emptyBytes];
    expect(latin1(key)).toBe('u');
    const user = User.decode(value);
    expect(user.options).toEqual({ noPassword: false });
    expect(latin1(user.password)).toBe('$2a$10$p');
    expect(user.roles).toEqual(['r']);
    expect(backend.get('auth', utf8('authEnabled'))).toEqual(Buffer.of(1));
  });

  it('grants a range again beside an older one of the same key, as etcd does', () => {
    const store = makeStore();
    apply(store, { authRoleAdd: { name: 'r' } });
    for (const [end, permType] of [
      ['', 0],
      ['z', 0],
      ['z', 1],
      ['', 2],
    ] as const)
      apply(store, { authRoleGrantPermission: { name: 'r', perm: { permType, key: bytes('a'), rangeEnd: bytes(end) } } });
    const result = store.apply(InternalRaftRequest.decode(InternalRaftRequest.encode({ authRoleGet: { role: 'r' } })));
    expect(Buffer.concat(result.body).toString('hex')).toBe('1205080212016112061201611a017a120808011201611a017a');
  });
});

describe('entries that old members may have written', () => {
  it('S-041: are refused or passed over, never trusted', () => {
    const store = makeStore();
    const run = (r: RaftRequest): Status | undefined => store.apply(InternalRaftRequest.decode(InternalRaftRequest.encode(r))).error;
    expect(run({ authUserAdd: { name: 'plain', password: 'secret' } })).toBeUndefined();
    let outcome: Status | undefined;
    run({ authUserAdd: { name: 'root', hashedPassword: '' } });
    run({ authUserGrantRole: { user: 'root', role: 'root' } });
    run({ authEnable: {} });
    store.prepare({ authenticate: { name: 'plain', password: 'secret' } }, (error) => (outcome = error));
    expect(outcome).toBe(errors.authFailed);
    store.prepare({ authenticate: { name: 'plain', password: '' } }, (error) => (outcome = error));
    expect(outcome).toBe(errors.authFailed);
    expect(run({ authRoleGrantPermission: { name: 'none' } })).toBe(errors.permissionNotGiven);
    expect(run({ authUserAdd: { name: '' } })).toBe(errors.userEmpty);
    expect(run({ authRoleAdd: { name: '' } })).toBe(errors.roleEmpty);
  });
});

describe('S-011, S-034: who a call is from', () => {
  const store = withUsers(makeStore({ certificateUsers: true }));
  const now = store.revision;
  const metadata = (entries: Record<string, string[]>): Map<string, string[]> => new Map(Object.entries(entries));
  it.each<[string, Record<string, string[]>, object, AuthInfo | undefined, Status | undefined]>([
    ['its token', { token: ['of-u'] }, {}, { username: 'u', revision: now }, undefined],
    ['the header authorization', { authorization: ['of-u'] }, {}, { username: 'u', revision: now }, undefined],
    ['with Bearer', { authorization: ['Bearer of-u'] }, {}, { username: 'u', revision: now }, undefined],
    ['with bearer', { authorization: ['bearer  of-u'] }, {}, { username: 'u', revision: now }, undefined],
    ['the token before the header', { token: ['of-u'], authorization: ['x'] }, {}, { username: 'u', revision: now }, undefined],
    ['a bad token', { token: ['x'] }, {}, undefined, errors.invalidAuthToken],
    ['an empty token', { token: [''] }, {}, undefined, errors.invalidAuthToken],
    ['two tokens', { token: ['of-u', 'of-root'] }, {}, undefined, errors.invalidAuthToken],
    ['a certificate', {}, { commonName: 'u' }, { username: 'u', revision: now }, undefined],
    ['a certificate and a bad token', { token: ['x'] }, { commonName: 'u' }, undefined, errors.invalidAuthToken],
    ['the certificate of the gateway', {}, { commonName: 'root', viaGateway: true }, undefined, undefined],
    ['nothing', {}, {}, undefined, undefined],
  ])('%s', (_, entries, who, info, error) => {
    expect(store.authInfo(metadata(entries), { ...peer, ...who })).toEqual({ info, error });
  });

  it('certificates do not count unless they are asked for, and nothing counts with auth off', () => {
    const plain = withUsers(makeStore());
    expect(plain.authInfo(new Map(), { ...peer, commonName: 'root' }).info).toBeUndefined();
    const off = makeStore({ certificateUsers: true });
    expect(off.authInfo(metadata({ token: ['x'] }), { ...peer, commonName: 'root' })).toEqual({ info: undefined, error: undefined });
    expect(off.check(undefined, put('a'))).toBeUndefined();
  });
});

describe('passwords', () => {
  it('S-008, S-009: reach neither entries nor logs', () => {
    const lines: string[] = [];
    const write = (message: string, fields?: object): void => void lines.push(message + JSON.stringify(fields));
    const log: Log = { ...silentLog, info: write, warn: write, error: write, debug: write, named: () => log };
    const store = withUsers(makeStore({ log, hasher: { ...plainHasher, hash: (_p, _c, done) => done(undefined, '$2a$10$hash') } }));
    const entries: string[] = [];
    const keep = (_: unknown, r: RaftRequest | undefined): void =>
      void entries.push(Buffer.from(InternalRaftRequest.encode(r ?? {})).toString('latin1'));
    store.prepare({ authUserAdd: { name: 'n', password: 'pw-secret' } }, keep);
    store.prepare({ authUserAdd: { name: 'n', password: 'pw-secret', options: { noPassword: true } } }, keep);
    store.prepare({ authUserChangePassword: { name: 'u', password: 'pw-secret' } }, keep);
    store.prepare({ authenticate: { name: 'u', password: 'pw-secret' } }, keep);
    store.prepare({ authenticate: { name: 'nobody', password: 'pw-secret' } }, keep);
    store.authInfo(new Map([['token', ['token-secret']]]), peer);
    expect(entries).toHaveLength(5);
    expect(lines.length).toBeGreaterThan(2);
    expect([...entries, ...lines].join('\n')).not.toContain('secret');
  });

  it('S-092: of unknown users cost as much as of known ones', () => {
    const compared: string[] = [];
    const hasher: PasswordHasher = { ...plainHasher, compare: (p, h, done) => (compared.push(h), plainHasher.compare(p, h, done)) };
    const store = withUsers(makeStore({ hasher }));
    const outcomes: (Status | undefined)[] = [];
    store.prepare({ authenticate: { name: 'u', password: 'wrong' } }, (error) => outcomes.push(error));
    store.prepare({ authenticate: { name: 'nobody', password: 'wrong' } }, (error) => outcomes.push(error));
    store.prepare({ authenticate: { name: 'nobody', password: '' } }, (error) => outcomes.push(error));
    expect(outcomes).toEqual([errors.authFailed, errors.authFailed, errors.authFailed]);
    expect(compared).toHaveLength(3);
  });

  it('are checked anew when they changed meanwhile', () => {
    const waiting: (() => void)[] = [];
    const hasher: PasswordHasher = { ...plainHasher, compare: (p, h, done) => void waiting.push(() => plainHasher.compare(p, h, done)) };
    const store = withUsers(makeStore({ hasher }));
    const outcomes: (Status | undefined)[] = [];
    store.prepare({ authenticate: { name: 'u', password: 'p' } }, (error) => outcomes.push(error));
    apply(store, { authUserChangePassword: { name: 'u', password: 'other' } });
    waiting.shift()?.();
    expect(outcomes).toEqual([]);
    waiting.shift()?.();
    expect(outcomes).toEqual([errors.authFailed]);
  });

  it('that cannot be hashed now are refused by kind', () => {
    for (const [failure, code] of [
      ['busy', 8],
      ['too-long', 2],
      ['stopped', 14],
    ] as const) {
      const store = makeStore({ hasher: { ...plainHasher, hash: (_p, _c, done) => done(failure, '') } });
      store.prepare({ authUserAdd: { name: 'n', password: 'x' } }, (error) => expect(error?.code).toBe(code));
    }
  });
});
