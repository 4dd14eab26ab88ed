// Requests that auth has a say in, made by chance and sent to several servers alike; what they answer as text that can be compared.
import { methods, type MethodDef } from '../../../src/api/gen/methods.ts';
import { RpcError } from '../../../src/api/status.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import type { SeededRandom } from '../../../src/base/random.ts';
import type { Channel } from '../../../src/wire/channel.ts';

export interface Step {
  readonly method: MethodDef;
  readonly request: object;
  /** Slot of a token that an earlier step got; a text is sent as it is; undefined: none. */
  readonly token: number | string | undefined;
}

const byName = new Map(methods.map((m) => [m.name, m]));
export const methodOf = (name: string): MethodDef => {
  const m = byName.get(name);
  if (m === undefined) throw new Error(`no method ${name}`);
  return m;
};

const users = ['root', 'u1', 'u2', 'u3', '', 'nobody', '__proto__'];
const roles = ['root', 'r1', 'r2', 'r3', '', 'none', 'constructor'];
const passwords = ['secret-1', 'secret-2', ''];
const leases = [1001n, 1002n, 1003n];
const b = (text: string): Uint8Array => Buffer.from(text, 'latin1');
/** Keys and ends at which ranges begin, meet and overlap; open ends, inverted and empty ones among them. */
const keys = ['a', 'b', 'c', 'd', 'k', '\0', 'a\0', '', '\xff'];
const ends = ['', '', '', 'b', 'c', 'd', 'z', '\0', 'a', 'k\0', '\xff'];

export class Steps {
  readonly #r: SeededRandom;
  /** Tokens so far. */
  slots = 0;
  /** Calls that may wait, and then until their time is over. */
  #waitsLeft: number;

  constructor(r: SeededRandom, waitsMax: number) {
    this.#r = r;
    this.#waitsLeft = waitsMax;
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#r.u32() % of.length] as T;
  }

  #often<T>(usual: readonly T[], all: readonly T[]): T {
    return this.#r.float() < 0.85 ? this.#pick(usual) : this.#pick(all);
  }

  #user = (): string => this.#often(users.slice(0, 4), users);
  #role = (): string => this.#often(roles.slice(1, 4), roles);
  #chance = (p: number): boolean => this.#r.float() < p;
  #range = (): { key: Uint8Array; rangeEnd: Uint8Array } => ({
    key: b(this.#often(keys.slice(0, 4), keys)),
    rangeEnd: b(this.#pick(ends)),
  });
  #key = (): Uint8Array => b(this.#often(keys.slice(0, 5), keys));
  #lease = (): bigint => (this.#chance(0.3) ? this.#pick(leases) : 0n);

  #token(): Step['token'] {
    if (this.slots === 0 || this.#chance(0.08)) return this.#pick([undefined, undefined, 'none.7', 'AAAAAAAAAAAAAAAA.3', '']);
    // Mostly one of the latest.
    return this.#chance(0.9) ? Math.max(0, this.slots - 1 - (this.#r.u32() % 6)) : this.#r.u32() % this.slots;
  }

  /** What makes the steps behind it worth something: root, roles, auth on. */
  opening(): Step[] {
    const all: Step[] = [];
    const add = (name: string, request: object, token?: Step['token']): void => void all.push({ method: methodOf(name), request, token });
    add('UserAdd', { name: 'root', password: 'secret-1' });
    add('UserGrantRole', { user: 'root', role: 'root' });
    for (const name of ['u1', 'u2']) add('UserAdd', { name, password: 'secret-1' });
    for (const name of ['r1', 'r2']) add('RoleAdd', { name });
    add('UserGrantRole', { user: 'u1', role: 'r1' });
    add('UserGrantRole', { user: 'u2', role: 'r2' });
    for (const ID of leases) add('LeaseGrant', { ID, TTL: 6000 });
    for (const k of ['a', 'b', 'c', 'd']) add('Put', { key: b(k), value: utf8(k), lease: k === 'd' ? 1001n : 0n });
    add('AuthEnable', {});
    for (const name of ['root', 'u1', 'u2']) add('Authenticate', { name, password: 'secret-1' });
    return all;
  }

  next(): Step {
    let [name, request] = this.#request();
    while (waits.has(name) && this.#waitsLeft-- <= 0) [name, request] = this.#request();
    return { method: methodOf(name), request, token: name === 'Authenticate' && this.#chance(0.7) ? undefined : this.#token() };
  }

  #request(): [string, object] {
    const x = this.#r.u32() % 100;
    if (x < 12) return ['Authenticate', { name: this.#user(), password: this.#often(passwords.slice(0, 1), passwords) }];
    if (x < 40) return this.#admin();
    return this.#data();
  }

  #admin(): [string, object] {
    const name = this.#user();
    const role = this.#role();
    switch (this.#r.u32() % 24) {
      case 0:
        return ['AuthEnable', {}];
      case 1:
        return this.#chance(0.3) ? ['AuthDisable', {}] : ['AuthStatus', {}];
      case 2:
        return ['AuthStatus', {}];
      case 3:
      case 4:
        return [
          'UserAdd',
          { name, password: this.#pick(passwords), ...(this.#chance(0.2) ? { options: { noPassword: this.#chance(0.7) } } : {}) },
        ];
      case 5:
      case 6:
        return ['UserGet', { name }];
      case 7:
        return ['UserList', {}];
      case 8:
        return ['UserDelete', { name }];
      case 9:
        return ['UserChangePassword', { name, password: this.#pick(passwords) }];
      case 10:
      case 11:
      case 12:
        return ['UserGrantRole', { user: name, role }];
      case 13:
        return ['UserRevokeRole', { name, role }];
      case 14:
      case 15:
        return ['RoleAdd', { name: role }];
      case 16:
      case 17:
        return ['RoleGet', { role }];
      case 18:
        return ['RoleList', {}];
      case 19:
        return ['RoleDelete', { role }];
      case 20:
        return ['RoleRevokePermission', { role, ...this.#range() }];
      default:
        if (this.#chance(0.05)) return ['RoleGrantPermission', { name: role }];
        return ['RoleGrantPermission', { name: role, perm: { permType: this.#often([0, 1, 2], [3, -1, 0]), ...this.#range() } }];
    }
  }

  #put = (): object => ({
    key: this.#key(),
    value: utf8(String(this.#r.u32() % 10)),
    lease: this.#lease(),
    prevKv: this.#chance(0.3),
    ...(this.#chance(0.05) ? { value: b(''), ignoreValue: true } : {}),
  });
  #delete = (): object => ({ ...this.#range(), prevKv: this.#chance(0.3) });
  #get = (): object => ({ ...this.#range(), serializable: this.#chance(0.3), countOnly: this.#chance(0.2), limit: this.#r.u32() % 3 });
  #txn(depth: number): object {
    const ops = (): object[] =>
      Array.from({ length: this.#r.u32() % 3 }, () => {
        const x = this.#r.u32() % 8;
        if (x < 3) return { requestRange: this.#get() };
        if (x < 5) return { requestPut: this.#put() };
        if (x < 6) return { requestDeleteRange: this.#delete() };
        return depth < 3 ? { requestTxn: this.#txn(depth + 1) } : { requestRange: this.#get() };
      });
    return {
      compare: Array.from({ length: this.#r.u32() % 2 }, () => ({
        ...(this.#chance(0.3) ? this.#range() : { key: this.#key() }),
        target: 0,
        result: this.#pick([0, 1, 2]),
        version: this.#r.u32() % 3,
      })),
      success: ops(),
      failure: ops(),
    };
  }

  #data(): [string, object] {
    const leaderKey = { name: b('c'), key: b('c/3e9'), rev: 1, lease: 1001n };
    switch (this.#r.u32() % 40) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        return ['Range', this.#get()];
      case 6:
        return ['RangeStream', this.#get()];
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
        return ['Put', this.#put()];
      case 12:
      case 13:
      case 14:
        return ['DeleteRange', this.#delete()];
      case 15:
      case 16:
      case 17:
      case 18:
      case 19:
        return ['Txn', this.#txn(0)];
      case 20:
        return ['Compact', { revision: this.#r.u32() % 4 }];
      case 21:
      case 22:
      case 23:
        return ['Watch', { createRequest: { ...this.#range(), startRevision: this.#pick([0, 0, 0, -1, 1e9]) } }];
      case 24:
        return ['LeaseGrant', { ID: this.#pick(leases), TTL: 6000 }];
      case 25:
        return ['LeaseRevoke', { ID: this.#pick(leases) }];
      case 26:
      case 27:
        return ['LeaseKeepAlive', { ID: this.#pick(leases) }];
      case 28:
      case 29:
        return ['LeaseTimeToLive', { ID: this.#pick(leases), keys: this.#chance(0.6) }];
      case 30:
        return ['LeaseLeases', {}];
      case 31:
        return ['MemberList', { linearizable: this.#chance(0.5) }];
      case 32:
        return ['Alarm', { action: this.#pick([0, 0, 1, 2]), alarm: 0 }];
      case 33:
        return this.#pick([
          ['Status', {}],
          ['HashKV', {}],
          ['Hash', {}],
          ['Snapshot', {}],
          ['Defragment', {}],
          ['MoveLeader', { targetID: 0n }],
          ['Downgrade', { action: 0, version: '3.6.0' }],
        ] as [string, object][]);
      case 34:
        return this.#pick([
          ['MemberAdd', { peerURLs: ['bad'] }],
          ['MemberRemove', { ID: 5n }],
          ['MemberUpdate', { ID: 5n, peerURLs: ['http://127.0.0.1:1'] }],
          ['MemberPromote', { ID: 5n }],
        ] as [string, object][]);
      case 35:
        return ['Lock', { name: this.#key(), lease: this.#pick(leases) }];
      case 36:
        return ['Unlock', { key: this.#key() }];
      case 37:
        return ['Campaign', { name: this.#key(), lease: this.#pick(leases), value: b('v') }];
      case 38:
        return this.#pick([
          ['Proclaim', { leader: leaderKey, value: b('w') }],
          ['Resign', { leader: leaderKey }],
        ] as [string, object][]);
      default:
        return this.#pick([
          ['Leader', { name: this.#key() }],
          ['Observe', { name: this.#key() }],
        ] as [string, object][]);
    }
  }
}

/** A server under comparison, with the tokens it gave. */
export class Subject {
  readonly name: string;
  readonly channel: Channel;
  readonly tokens: string[] = [];

  constructor(name: string, channel: Channel) {
    this.name = name;
    this.channel = channel;
  }

  /** Sends the step; what came back, without what differs from server to server. */
  async take(step: Step): Promise<string> {
    const { method, request } = step;
    const token = typeof step.token === 'number' ? this.tokens[step.token] : step.token;
    const options = { timeoutMs: waits.has(method.name) ? waitMs : 30_000, ...(token === undefined ? {} : { metadata: { token } }) };
    try {
      if (!method.requestStream && !method.responseStream) {
        const response = (await this.channel.unary(method, request, options)) as { token?: string };
        if (method.name === 'Authenticate') {
          this.tokens.push(response.token ?? '');
          return 'a token';
        }
        return shown(method.name, response);
      }
      return shown(method.name, await this.#first(method, request, options));
    } catch (e) {
      if (!(e instanceof RpcError)) throw e;
      // Which side ends it first is a matter of chance.
      if (waits.has(method.name) && /deadline exceeded|cancelled|canceled/i.test(e.message)) return 'waits';
      return `${e.code} ${e.message}`;
    }
  }

  /** The first message of a stream; its status when it ends without one. */
  #first(method: MethodDef, request: object, options: object): Promise<object> {
    return new Promise((resolve, reject) => {
      const stream = this.channel.stream(method, options);
      stream.onMessage = (m) => {
        resolve(m as object);
        stream.cancel();
      };
      stream.onEnd = (status) => reject(new RpcError(status));
      stream.send(request);
      if (!method.requestStream) stream.halfClose();
    });
  }
}

/** Long enough for an answer on a busy machine. */
const waitMs = 6000;
/** Calls that wait for something to happen. */
const waits = new Set(['Lock', 'Campaign', 'Observe']);
/** Answers whose content is a server's own. */
const opaque = new Set(['Status', 'Hash', 'Snapshot', 'MemberList', 'Downgrade']);

function shown(name: string, response: object): string {
  if (opaque.has(name)) return 'answered';
  return JSON.stringify(response, (field, value: unknown) => {
    if (field === 'clusterId' || field === 'memberId' || field === 'raftTerm') return undefined;
    if (field === 'TTL' && name === 'LeaseTimeToLive') return Number(value) > 0;
    // In the order of a Go map.
    if (field === 'leases' && Array.isArray(value)) return (value as { ID: unknown }[]).map((l) => String(l.ID)).sort();
    if (field === 'keys' && Array.isArray(value)) return (value as Uint8Array[]).map((k) => Buffer.from(k).toString('latin1')).sort();
    if (typeof value === 'bigint') return String(value);
    if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
    if (typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer')
      return Buffer.from((value as { data: number[] }).data).toString('latin1');
    return value;
  });
}
