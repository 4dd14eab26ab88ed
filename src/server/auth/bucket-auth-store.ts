/**
 * Users, roles and permissions, kept in memory and in the buckets
 *
 *     auth       `authEnabled`    1 byte; absent until auth was enabled for the first time
 *     auth       `authRevision`   uint64, 8 bytes big-endian; 1 at first
 *     authUsers  user name        authpb.User
 *     authRoles  role name        authpb.Role
 *
 * Every change moves the auth revision by one. A request carries the revision at which its user was known; when it is applied at a later one,
 * it is refused, for the user may have changed (G-A-2).
 */
import type { Permission } from '../../api/gen/authpb.ts';
import { Permission_Type, Role, User } from '../../api/gen/authpb.ts';
import {
  AuthenticateResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  type AuthRoleGrantPermissionRequest,
  type AuthRoleRevokePermissionRequest,
  type AuthUserAddRequest,
  type AuthUserChangePasswordRequest,
  type AuthUserGrantRoleRequest,
  type AuthUserRevokeRoleRequest,
  type InternalAuthenticateRequest,
  type InternalRaftRequest,
} from '../../api/gen/etcdserverpb.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import { compareBytes, emptyBytes, equalBytes, utf8, utf8Text } from '../../base/bytes.ts';
import type { Log } from '../../base/log.ts';
import type { Metadata, PeerInfo } from '../../wire/call.ts';
import type { ApplyResult, AuthInfo, RaftRequest } from '../apply/types.ts';
import type { Backend, BucketName } from '../storage/backend.ts';
import type { AuthStore } from './auth-store.ts';
import type { HasherFailure, PasswordHasher } from './password-hasher.ts';
import { isGrantable, UserPermissions } from './permissions.ts';
import { checkRequest } from './request-check.ts';
import type { TokenProvider } from './tokens.ts';

export const rootUser = 'root';
export const rootRole = 'root';
/** What the role root may do: read and write every key. */
const everything: Permission = { permType: 2, key: emptyBytes, rangeEnd: new Uint8Array(1) };

const enabledKey = utf8('authEnabled');
const revisionKey = utf8('authRevision');
/** bcrypt costs that are possible, and the one for all others. */
export const bcryptCostMin = 4;
export const bcryptCostMax = 31;
export const bcryptCostDefault = 10;
/** Shorter passwords are taken, with a warning. */
const shortPassword = 8;

const passwordTooLong: Status = Object.freeze({ code: Code.Unknown, message: 'bcrypt: password length exceeds 72 bytes' });

export interface BucketAuthStoreOptions {
  readonly backend: Pick<Backend, 'get' | 'put' | 'delete' | 'entries' | 'leaseKeys' | 'consistentIndex'>;
  readonly tokens: TokenProvider;
  readonly hasher: PasswordHasher;
  /** Out of range: 10 is taken. */
  readonly bcryptCost: number;
  /** Whether the common name of a verified client certificate counts as a user (`--client-cert-auth`). */
  readonly certificateUsers: boolean;
  readonly log: Log;
}

export class BucketAuthStore implements AuthStore {
  readonly #backend: BucketAuthStoreOptions['backend'];
  readonly #tokens: TokenProvider;
  readonly #hasher: PasswordHasher;
  readonly #cost: number;
  readonly #certificateUsers: boolean;
  readonly #log: Log;
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  /** Made when a user is first checked; all forgotten with every change. */
  readonly #permissions = new Map<string, UserPermissions>();
  #enabled = false;
  #revision = 0;
  /** Compared with when the user is unknown, so that this takes as long as a wrong password (S-092). */
  #decoyHash: string | undefined;

  constructor(options: BucketAuthStoreOptions) {
    this.#backend = options.backend;
    this.#tokens = options.tokens;
    this.#hasher = options.hasher;
    this.#certificateUsers = options.certificateUsers;
    this.#log = options.log;
    const cost = options.bcryptCost;
    const possible = cost >= bcryptCostMin && cost <= bcryptCostMax;
    if (!possible) {
      const used = { 'min-cost': bcryptCostMin, 'max-cost': bcryptCostMax, 'default-cost': bcryptCostDefault, 'given-cost': cost };
      options.log.warn('use default bcrypt cost instead of the invalid given cost', used);
    }
    this.#cost = possible ? cost : bcryptCostDefault;
    this.#load();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  get revision(): number {
    return this.#revision;
  }

  rootInfo(): AuthInfo | undefined {
    return this.#enabled ? { username: rootUser, revision: this.#revision } : undefined;
  }

  authInfo(metadata: Metadata, peer: PeerInfo): { error: Status | undefined; info: AuthInfo | undefined } {
    if (!this.#enabled) return { error: undefined, info: undefined };
    const token = tokenOf(metadata);
    if (token !== undefined) {
      const info = token === '' ? undefined : this.#tokens.info(token, this.#revision);
      if (info !== undefined) return { error: undefined, info };
      this.#log.warn('invalid auth token', { 'remote-addr': peer.address });
      return { error: errors.invalidAuthToken, info: undefined };
    }
    // A call that the gateway makes comes with the gateway's certificate, if any: its name is not the caller's (S-011).
    const username = this.#certificateUsers && !peer.viaGateway ? peer.commonName : undefined;
    return { error: undefined, info: username === undefined ? undefined : { username, revision: this.#revision } };
  }

  tokenIndex(metadata: Metadata): number {
    if (!this.#enabled) return 0;
    const token = tokenOf(metadata);
    return token === undefined ? 0 : this.#tokens.indexOf(token);
  }

  check(info: AuthInfo | undefined, request: RaftRequest): Status | undefined {
    return this.#enabled ? checkRequest(this, info, request) : undefined;
  }

  checkRange(info: AuthInfo | undefined, key: Uint8Array, rangeEnd: Uint8Array, write: boolean): Status | undefined {
    if (!this.#enabled) return undefined;
    // Revision 0 is that of nobody.
    if (info === undefined || info.revision === 0) return errors.userEmpty;
    if (info.revision < this.#revision) return errors.authOldRevision;
    const user = this.#users.get(info.username);
    if (user === undefined) return errors.permissionDenied;
    if (user.roles.includes(rootRole)) return undefined;
    return this.#permissionsOf(info.username, user).allows(key, rangeEnd, write) ? undefined : errors.permissionDenied;
  }

  checkAdmin(info: AuthInfo | undefined): Status | undefined {
    if (!this.#enabled) return undefined;
    if (info === undefined || info.username === '') return errors.userEmpty;
    return this.hasRole(info.username, rootRole) ? undefined : errors.permissionDenied;
  }

  checkUser(info: AuthInfo | undefined): Status | undefined {
    return this.#enabled && info === undefined ? errors.userEmpty : undefined;
  }

  checkLease(info: AuthInfo | undefined, lease: bigint, write: boolean): Status | undefined {
    if (!this.#enabled || lease === 0n || this.checkAdmin(info) === undefined) return undefined;
    for (const key of this.#backend.leaseKeys(lease)) {
      const denied = this.checkRange(info, key, emptyBytes, write);
      if (denied !== undefined) return denied;
    }
    return undefined;
  }

  /** False for a user that is not there. */
  hasRole(username: string, role: string): boolean {
    return this.#users.get(username)?.roles.includes(role) === true;
  }

  apply(r: InternalRaftRequest): ApplyResult {
    if (r.authenticate !== undefined) return this.#authenticate(r.authenticate);
    if (r.authStatus !== undefined) {
      return succeeded(AuthStatusResponse.encode({ enabled: this.#enabled, authRevision: this.#revision }));
    }
    if (r.authUserGet !== undefined) {
      const user = this.#users.get(r.authUserGet.name);
      return user === undefined ? failed(errors.userNotFound) : succeeded(AuthUserGetResponse.encode({ roles: user.roles }));
    }
    if (r.authRoleGet !== undefined) {
      const role = this.#roles.get(r.authRoleGet.role);
      if (role === undefined) return failed(errors.roleNotFound);
      // Whatever was granted to it: the role root may do everything.
      const perm = r.authRoleGet.role === rootRole ? [everything] : role.keyPermission;
      return succeeded(AuthRoleGetResponse.encode({ perm }));
    }
    if (r.authUserList !== undefined) return succeeded(AuthUserListResponse.encode({ users: namesOf(this.#users) }));
    if (r.authRoleList !== undefined) return succeeded(AuthRoleListResponse.encode({ roles: namesOf(this.#roles) }));
    const error = this.#change(r);
    return error === undefined ? succeeded(emptyBytes) : failed(error);
  }

  prepare(request: RaftRequest, done: (error: Status | undefined, request: RaftRequest | undefined) => void, from = ''): void {
    const { authUserAdd, authUserChangePassword, authenticate } = request;
    if (authenticate !== undefined) {
      this.#checkPassword({ name: authenticate.name ?? '', from }, authenticate.password ?? '', (error) => {
        if (error !== undefined) done(error, undefined);
        else done(undefined, { ...request, authenticate: { name: authenticate.name, simpleToken: this.#tokens.prefix() } });
      });
    } else if (authUserAdd !== undefined && authUserAdd.options?.noPassword !== true) {
      this.#hash(authUserAdd.name ?? '', authUserAdd.password ?? '', (error, hashedPassword) => {
        if (error !== undefined) done(error, undefined);
        else done(undefined, { ...request, authUserAdd: { ...authUserAdd, password: '', hashedPassword } });
      });
    } else if (authUserChangePassword !== undefined && (authUserChangePassword.password ?? '') !== '') {
      const { name, password } = authUserChangePassword;
      this.#hash(name ?? '', password ?? '', (error, hashedPassword) => {
        if (error !== undefined) done(error, undefined);
        else done(undefined, { ...request, authUserChangePassword: { name, password: '', hashedPassword } });
      });
    } else if (authUserAdd !== undefined) {
      // A user without password: whatever came as one goes nowhere near the log.
      done(undefined, { ...request, authUserAdd: { ...authUserAdd, password: '', hashedPassword: '' } });
    } else done(undefined, request);
  }

  restore(): void {
    this.#load();
  }

  close(): void {
    this.#tokens.disable();
    this.#hasher.close();
  }

  // Changes.

  #change(r: InternalRaftRequest): Status | undefined {
    if (r.authEnable !== undefined) return this.#enable();
    if (r.authDisable !== undefined) return this.#disable();
    if (r.authUserAdd !== undefined) return this.#userAdd(r.authUserAdd);
    if (r.authUserDelete !== undefined) return this.#userDelete(r.authUserDelete.name);
    if (r.authUserChangePassword !== undefined) return this.#userChangePassword(r.authUserChangePassword);
    if (r.authUserGrantRole !== undefined) return this.#userGrantRole(r.authUserGrantRole);
    if (r.authUserRevokeRole !== undefined) return this.#userRevokeRole(r.authUserRevokeRole);
    if (r.authRoleAdd !== undefined) return this.#roleAdd(r.authRoleAdd.name);
    if (r.authRoleDelete !== undefined) return this.#roleDelete(r.authRoleDelete.role);
    if (r.authRoleGrantPermission !== undefined) return this.#roleGrantPermission(r.authRoleGrantPermission);
    if (r.authRoleRevokePermission !== undefined) return this.#roleRevokePermission(r.authRoleRevokePermission);
    return undefined;
  }

  #enable(): Status | undefined {
    if (this.#enabled) {
      this.#log.info('authentication is already enabled; ignored auth enable request');
      return undefined;
    }
    if (!this.#users.has(rootUser)) return errors.rootUserNotExist;
    if (!this.hasRole(rootUser, rootRole)) return errors.rootRoleNotExist;
    this.#backend.put('auth', enabledKey, Buffer.of(1));
    this.#enabled = true;
    this.#tokens.enable();
    this.#log.info('enabled authentication');
    return undefined;
  }

  #disable(): undefined {
    if (!this.#enabled) return;
    this.#backend.put('auth', enabledKey, Buffer.of(0));
    this.#enabled = false;
    this.#tokens.disable();
    this.#changed();
    this.#log.info('disabled authentication');
  }

  #userAdd(r: AuthUserAddRequest): Status | undefined {
    if (r.name === '') return errors.userEmpty;
    if (this.#users.has(r.name)) return errors.userAlreadyExist;
    const noPassword = r.options?.noPassword === true;
    this.#putUser({
      name: utf8(r.name),
      password: noPassword ? emptyBytes : storedHash(r.hashedPassword),
      roles: [],
      options: { noPassword },
    });
    this.#changed();
    this.#log.info('added a user', { 'user-name': r.name });
    return undefined;
  }

  #userDelete(name: string): Status | undefined {
    if (this.#enabled && name === rootUser) {
      this.#log.error("cannot delete 'root' user", { 'user-name': name });
      return errors.invalidAuthMgmt;
    }
    const user = this.#users.get(name);
    if (user === undefined) return errors.userNotFound;
    this.#users.delete(name);
    this.#backend.delete('authUsers', user.name);
    this.#tokens.invalidateUser(name);
    this.#changed();
    this.#log.info('deleted a user', { 'user-name': name, 'user-roles': user.roles });
    return undefined;
  }

  #userChangePassword(r: AuthUserChangePasswordRequest): Status | undefined {
    const user = this.#users.get(r.name);
    if (user === undefined) return errors.userNotFound;
    // A user without password stays one. An empty new password leaves a user that nobody can log in as.
    this.#putUser({ ...user, password: user.options?.noPassword === true ? emptyBytes : storedHash(r.hashedPassword) });
    this.#tokens.invalidateUser(r.name);
    this.#changed();
    this.#log.info('changed a password of a user', { 'user-name': r.name, 'user-roles': user.roles });
    return undefined;
  }

  #userGrantRole(r: AuthUserGrantRoleRequest): Status | undefined {
    const user = this.#users.get(r.user);
    if (user === undefined) return errors.userNotFound;
    // The root role needs no role object.
    if (r.role !== rootRole && !this.#roles.has(r.role)) return errors.roleNotFound;
    if (user.roles.includes(r.role)) {
      this.#log.warn('ignored grant role request to a user', {
        'user-name': r.user,
        'user-roles': user.roles,
        'duplicate-role-name': r.role,
      });
      return undefined;
    }
    const roles = [...user.roles, r.role].sort(byteOrder);
    this.#putUser({ ...user, roles });
    this.#changed();
    this.#log.info('granted a role to a user', { 'user-name': r.user, 'user-roles': roles, 'added-role-name': r.role });
    return undefined;
  }

  #userRevokeRole(r: AuthUserRevokeRoleRequest): Status | undefined {
    if (this.#enabled && r.name === rootUser && r.role === rootRole) {
      this.#log.error("'root' user cannot revoke 'root' role", { 'user-name': r.name, 'role-name': r.role });
      return errors.invalidAuthMgmt;
    }
    const user = this.#users.get(r.name);
    if (user === undefined) return errors.userNotFound;
    if (!user.roles.includes(r.role)) return errors.roleNotGranted;
    const roles = user.roles.filter((role) => role !== r.role);
    this.#putUser({ ...user, roles });
    this.#changed();
    this.#log.info('revoked a role from a user', {
      'user-name': r.name,
      'old-user-roles': user.roles,
      'new-user-roles': roles,
      'revoked-role-name': r.role,
    });
    return undefined;
  }

  #roleAdd(name: string): Status | undefined {
    if (name === '') return errors.roleEmpty;
    if (this.#roles.has(name)) return errors.roleAlreadyExist;
    this.#putRole({ name: utf8(name), keyPermission: [] });
    this.#changed();
    this.#log.info('created a role', { 'role-name': name });
    return undefined;
  }

  #roleDelete(name: string): Status | undefined {
    if (this.#enabled && name === rootRole) {
      this.#log.error("cannot delete 'root' role", { 'role-name': name });
      return errors.invalidAuthMgmt;
    }
    const role = this.#roles.get(name);
    if (role === undefined) return errors.roleNotFound;
    this.#roles.delete(name);
    this.#backend.delete('authRoles', role.name);
    for (const user of [...this.#users.values()]) {
      if (user.roles.includes(name)) this.#putUser({ ...user, roles: user.roles.filter((r) => r !== name) });
    }
    this.#changed();
    this.#log.info('deleted a role', { 'role-name': name });
    return undefined;
  }

  #roleGrantPermission(r: AuthRoleGrantPermissionRequest): Status | undefined {
    const perm = r.perm;
    if (perm === undefined) return errors.permissionNotGiven;
    if (!isGrantable(perm)) return errors.invalidAuthMgmt;
    const role = this.#roles.get(r.name);
    if (role === undefined) return errors.roleNotFound;
    const granted = [...role.keyPermission];
    // Etcd looks at the first grant of this key only: a range granted anew behind another one of the same key is added a second time.
    const at = granted.findIndex((p) => compareBytes(p.key, perm.key) >= 0);
    const there = granted[at];
    const grant: Permission = { permType: perm.permType, key: copy(perm.key), rangeEnd: copy(perm.rangeEnd) };
    if (there !== undefined && isSameRange(there, perm)) granted[at] = grant;
    else {
      granted.push(grant);
      granted.sort((a, b) => compareBytes(a.key, b.key));
    }
    this.#putRole({ ...role, keyPermission: granted });
    this.#changed();
    this.#log.info('granted/updated a permission to a user', {
      'user-name': r.name,
      'permission-name':
        Object.keys(Permission_Type).find((n) => Permission_Type[n as keyof typeof Permission_Type] === perm.permType) ?? '',
      'key-size': perm.key.length,
      'range-end-size': perm.rangeEnd.length,
    });
    return undefined;
  }

  #roleRevokePermission(r: AuthRoleRevokePermissionRequest): Status | undefined {
    const role = this.#roles.get(r.role);
    if (role === undefined) return errors.roleNotFound;
    const kept = role.keyPermission.filter((p) => !isSameRange(p, r));
    if (kept.length === role.keyPermission.length) return errors.permissionNotGranted;
    this.#putRole({ ...role, keyPermission: kept });
    this.#changed();
    this.#log.info('revoked a permission on range', {
      'role-name': r.role,
      'key-size': r.key.length,
      'range-end-size': r.rangeEnd.length,
    });
    return undefined;
  }

  /** The password was checked before the request was proposed. */
  #authenticate(r: InternalAuthenticateRequest): ApplyResult {
    if (!this.#enabled) return failed(errors.authNotEnabled);
    const user = this.#users.get(r.name);
    if (user === undefined || user.options?.noPassword === true) return failed(errors.authFailed);
    const index = this.#backend.consistentIndex;
    const { error, token } = this.#tokens.assign({ username: r.name, revision: this.#revision, index, prefix: r.simpleToken });
    return error === undefined ? new TokenResult(token) : failed(error);
  }

  // Passwords.

  #hash(name: string, password: string, done: (error: Status | undefined, hash: string) => void): void {
    if (password.length < shortPassword) this.#log.warn('the password is shorter than 8 characters', { 'user-name': name });
    this.#hasher.hash(password, this.#cost, (failure, hash) => {
      if (failure !== undefined) done(hasherStatus(failure), '');
      else done(undefined, Buffer.from(hash, 'latin1').toString('base64'));
    });
  }

  #checkPassword(who: Who, password: string, done: (error: Status | undefined) => void): void {
    const { name } = who;
    if (!this.#enabled) {
      done(errors.authNotEnabled);
      return;
    }
    const user = this.#users.get(name);
    if (user?.options?.noPassword === true) {
      this.#refuse(who, 'the user has no password', errors.noPasswordUser, done);
      return;
    }
    const compare = (hash: string): void => {
      this.#hasher.compare(password, hash, (failure, matches) => {
        if (failure !== undefined) done(hasherStatus(failure));
        else if (user === undefined || user.password.length === 0 || !matches)
          this.#refuse(who, user === undefined ? 'no such user' : 'wrong password', errors.authFailed, done);
        // The user got another password, or is gone, while the worker compared.
        else if (this.#users.get(name)?.password !== user.password) this.#checkPassword(who, password, done);
        else done(undefined);
      });
    };
    // A user whose password was changed to nothing is locked out.
    if (user !== undefined && user.password.length !== 0) compare(utf8Text(user.password));
    else this.#decoy(compare, done);
  }

  /** The caller is told less than the log: not whether there is such a user. */
  #refuse(who: Who, why: string, error: Status, done: (error: Status | undefined) => void): void {
    this.#log.warn('invalid authentication was requested', { user: who.name, 'remote-addr': who.from, error: why });
    done(error);
  }

  #decoy(compare: (hash: string) => void, failed: (error: Status) => void): void {
    if (this.#decoyHash !== undefined) {
      compare(this.#decoyHash);
      return;
    }
    this.#hasher.hash('', this.#cost, (failure, hash) => {
      if (failure !== undefined) {
        failed(hasherStatus(failure));
        return;
      }
      this.#decoyHash = hash;
      compare(hash);
    });
  }

  // State.

  #load(): void {
    this.#users.clear();
    this.#roles.clear();
    this.#permissions.clear();
    for (const [key, value] of this.#backend.entries('authUsers')) this.#users.set(utf8Text(key), User.decode(value));
    for (const [key, value] of this.#backend.entries('authRoles')) this.#roles.set(utf8Text(key), Role.decode(value));
    const enabled = this.#backend.get('auth', enabledKey);
    this.#enabled = enabled !== undefined && enabled[0] === 1;
    const revision = this.#backend.get('auth', revisionKey);
    this.#revision = revision === undefined ? 0 : Number(Buffer.from(revision).readBigUInt64BE(0));
    if (this.#revision === 0) this.#changed();
    if (this.#enabled) this.#tokens.enable();
    else this.#tokens.disable();
  }

  #changed(): void {
    this.#revision++;
    this.#permissions.clear();
    const value = Buffer.allocUnsafe(8);
    value.writeBigUInt64BE(BigInt(this.#revision), 0);
    this.#backend.put('auth', revisionKey, value);
  }

  #putUser(user: User): void {
    this.#users.set(utf8Text(user.name), user);
    this.#put('authUsers', user.name, User.encode(user));
  }

  #putRole(role: Role): void {
    this.#roles.set(utf8Text(role.name), role);
    this.#put('authRoles', role.name, Role.encode(role));
  }

  #put(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
    this.#backend.put(bucket, key, value);
  }

  #permissionsOf(username: string, user: User): UserPermissions {
    let made = this.#permissions.get(username);
    if (made === undefined) {
      made = new UserPermissions(user.roles.flatMap((role) => this.#roles.get(role)?.keyPermission ?? []));
      this.#permissions.set(username, made);
    }
    return made;
  }
}

/** Who wants to log in. */
interface Who {
  readonly name: string;
  readonly from: string;
}

const noBody: readonly Uint8Array[] = [];

function succeeded(body: Uint8Array): ApplyResult {
  return { error: undefined, rev: 0, body: body.length === 0 ? noBody : [body], whenCompacted: undefined };
}

function failed(error: Status): ApplyResult {
  return { error, rev: 0, body: noBody, whenCompacted: undefined };
}

/** The token's text is only made where the answer is sent: signing one costs up to a millisecond, on every member. */
class TokenResult implements ApplyResult {
  readonly error = undefined;
  readonly rev = 0;
  readonly whenCompacted = undefined;
  readonly #token: () => string;

  constructor(token: () => string) {
    this.#token = token;
  }

  get body(): readonly Uint8Array[] {
    return [AuthenticateResponse.encode({ token: this.#token() })];
  }
}

/**
 * The token of a call: metadata `token`, or `authorization` as the gateway passes it on, with or without `Bearer`. Undefined without one, empty
 * (which is never valid) when there are several.
 */
function tokenOf(metadata: Metadata): string | undefined {
  const values = metadata.get('token') ?? metadata.get('authorization');
  if (values === undefined || values.length === 0) return undefined;
  const value = values.length === 1 ? values[0] : '';
  return typeof value === 'string' ? value.replace(/^bearer +/i, '') : '';
}

/**
 * The hash as it is stored. An entry with a password in clear, as members before 3.6 proposed it, gives no hash: hashing here would differ from
 * member to member and hold the loop, so nobody can log in until the password is set anew.
 */
function storedHash(hashedPassword: string): Uint8Array {
  return hashedPassword === '' ? emptyBytes : Buffer.from(hashedPassword, 'base64');
}

function hasherStatus(failure: HasherFailure): Status {
  return failure === 'busy' ? errors.requestTooManyRequests : failure === 'too-long' ? passwordTooLong : errors.stopped;
}

function isSameRange(a: { key: Uint8Array; rangeEnd: Uint8Array }, b: { key: Uint8Array; rangeEnd: Uint8Array }): boolean {
  return equalBytes(a.key, b.key) && equalBytes(a.rangeEnd, b.rangeEnd);
}

/** Grants are kept; the entry they came in need not be. */
function copy(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes);
}

function namesOf(of: ReadonlyMap<string, unknown>): string[] {
  return [...of.keys()].sort(byteOrder);
}

/** Go sorts strings by their bytes. */
function byteOrder(a: string, b: string): number {
  return compareBytes(utf8(a), utf8(b));
}
