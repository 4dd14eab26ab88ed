// Every RPC, asked by everybody, plain, in a txn, nested and through the JSON gateway: what comes of it is what the table of rules says. A real
// etcd is asked the same: the table is right when etcd agrees with it.
import { afterAll, describe, expect, it } from 'vitest';
import { methods, type MethodDef } from '../../../src/api/gen/methods.ts';
import { errors, RpcError, type Status } from '../../../src/api/status.ts';
import { needOf } from '../../../src/server/auth/rules.ts';
import { messageToJson } from '../../../src/server/http/proto-json.ts';
import type { Channel } from '../../../src/wire/channel.ts';
import { connectGrpcJs } from '../../../src/wire/grpc-js-channel.ts';
import { oneMember, reference, type MemberProcess } from '../../support/member.ts';
import { methodOf } from './steps.ts';

const b = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const people = ['nobody', 'unknown', 'without', 'reader', 'writer', 'both', 'root'] as const;
type Who = (typeof people)[number];
const forms = ['plain', 'gateway', 'txn', 'nested'] as const;
type Form = (typeof forms)[number];
/** What a request on keys below `m/` needs; other needs come from the table alone. */
type Keys = 'read' | 'write' | 'read and write' | 'nothing';
type Outcome = 'served' | 'no user' | 'bad token' | 'denied' | 'ended';

interface Question {
  readonly method: string;
  readonly keys?: Keys;
  /** A variant of a method, when there are several. */
  readonly as?: string;
  /** A request that does no harm when it is served; `n` is another one for each cell. */
  readonly request: (n: number) => object;
  readonly need?: 'user' | 'admin';
  /** Who is served although the need says no: whom it concerns. */
  readonly own?: Who;
}

const leaderKey = { name: b('m/e'), key: b('m/e/9'), rev: 999_999, lease: 9n };
const prefix = { key: b('m/'), rangeEnd: b('m0') };
const put = { key: b('m/p'), value: b('v') };

const questions: readonly Question[] = [
  { method: 'Range', keys: 'read', request: () => prefix },
  { method: 'Range', keys: 'read', as: 'serializable', request: () => ({ ...prefix, serializable: true }) },
  { method: 'RangeStream', keys: 'read', request: () => prefix },
  { method: 'Put', keys: 'write', request: () => put },
  { method: 'Put', keys: 'read and write', as: 'prev_kv', request: () => ({ ...put, prevKv: true }) },
  { method: 'Put', keys: 'write', as: 'lease', request: () => ({ ...put, key: b('m/l2'), lease: 8n }) },
  { method: 'DeleteRange', keys: 'write', request: () => ({ key: b('m/d'), rangeEnd: b('m/e') }) },
  { method: 'DeleteRange', keys: 'read and write', as: 'prev_kv', request: () => ({ key: b('m/d'), rangeEnd: b('m/e'), prevKv: true }) },
  { method: 'Txn', keys: 'nothing', as: 'empty', request: () => ({}) },
  { method: 'Txn', keys: 'read', as: 'compare', request: () => ({ compare: [{ key: b('m/c'), target: 0, version: 1 }], success: [] }) },
  {
    method: 'Txn',
    keys: 'read and write',
    as: 'branches',
    request: () => ({ success: [{ requestRange: prefix }], failure: [{ requestPut: put }] }),
  },
  { method: 'Compact', request: () => ({ revision: 1 }) },
  { method: 'Watch', keys: 'read', request: () => ({ createRequest: prefix }) },
  { method: 'LeaseGrant', request: () => ({ TTL: 6000 }) },
  { method: 'LeaseRevoke', keys: 'write', request: (n) => ({ ID: BigInt(1000 + n) }) },
  { method: 'LeaseKeepAlive', keys: 'write', request: () => ({ ID: 7n }) },
  { method: 'LeaseTimeToLive', keys: 'nothing', request: () => ({ ID: 7n }) },
  { method: 'LeaseTimeToLive', keys: 'read', as: 'keys', request: () => ({ ID: 7n, keys: true }) },
  { method: 'LeaseLeases', keys: 'read', request: () => ({}) },
  { method: 'MemberList', request: () => ({}) },
  { method: 'MemberAdd', request: () => ({ peerURLs: ['http://127.0.0.1:PEER'] }) },
  { method: 'MemberRemove', request: () => ({ ID: 5n }) },
  { method: 'MemberUpdate', request: () => ({ ID: 5n, peerURLs: ['http://127.0.0.1:1'] }) },
  { method: 'MemberPromote', request: () => ({ ID: 5n }) },
  { method: 'Alarm', as: 'get', need: 'user', request: () => ({ action: 0 }) },
  { method: 'Alarm', as: 'activate', request: () => ({ action: 1 }) },
  { method: 'Alarm', as: 'deactivate', request: () => ({ action: 2 }) },
  { method: 'Status', request: () => ({}) },
  { method: 'Defragment', request: () => ({}) },
  { method: 'Hash', request: () => ({}) },
  { method: 'HashKV', request: () => ({}) },
  { method: 'Snapshot', request: () => ({}) },
  { method: 'MoveLeader', request: () => ({ targetID: 5n }) },
  { method: 'Downgrade', request: () => ({ action: 0, version: '3.6.0' }) },
  { method: 'AuthEnable', request: () => ({}) },
  { method: 'AuthStatus', request: () => ({}) },
  { method: 'Authenticate', request: () => ({ name: 'reader', password: 'secret-1' }) },
  { method: 'UserAdd', request: () => ({ name: 'root', password: 'x' }) },
  { method: 'UserGet', as: 'other', request: () => ({ name: 'root' }) },
  { method: 'UserGet', as: 'own', own: 'reader', request: () => ({ name: 'reader' }) },
  { method: 'UserList', request: () => ({}) },
  { method: 'UserDelete', request: () => ({ name: 'none' }) },
  { method: 'UserChangePassword', request: () => ({ name: 'none', password: 'x' }) },
  { method: 'UserGrantRole', request: () => ({ user: 'none', role: 'none' }) },
  { method: 'UserRevokeRole', request: () => ({ name: 'none', role: 'none' }) },
  { method: 'RoleAdd', request: () => ({ name: 'reader' }) },
  { method: 'RoleGet', as: 'other', request: () => ({ role: 'nowhere' }) },
  { method: 'RoleGet', as: 'own', own: 'reader', request: () => ({ role: 'reader' }) },
  { method: 'RoleList', request: () => ({}) },
  { method: 'RoleDelete', request: () => ({ role: 'none' }) },
  { method: 'RoleGrantPermission', request: () => ({ name: 'none', perm: { permType: 0, key: b('m/') } }) },
  { method: 'RoleRevokePermission', request: () => ({ role: 'none', key: b('m/') }) },
  { method: 'Lock', keys: 'read and write', request: () => ({ name: b('m/lock'), lease: 8n }) },
  { method: 'Unlock', keys: 'write', request: () => ({ key: b('m/none') }) },
  { method: 'Campaign', keys: 'read and write', request: () => ({ name: b('m/c2'), lease: 8n, value: b('v') }) },
  { method: 'Proclaim', keys: 'read and write', request: () => ({ leader: leaderKey, value: b('w') }) },
  { method: 'Leader', keys: 'read', request: () => ({ name: b('m/e') }) },
  { method: 'Observe', keys: 'read', request: () => ({ name: b('m/e') }) },
  { method: 'Resign', keys: 'read and write', request: () => ({ leader: leaderKey }) },
  // The last one: it ends everything when root may.
  { method: 'AuthDisable', request: () => ({}) },
];

const mayKeys: Readonly<Record<Who, readonly Keys[]>> = {
  nobody: [],
  unknown: [],
  without: ['nothing'],
  reader: ['nothing', 'read'],
  writer: ['nothing', 'write'],
  both: ['nothing', 'read', 'write', 'read and write'],
  root: ['nothing', 'read', 'write', 'read and write'],
};

/** What the table of rules says. */
function expected(q: Question, who: Who): Outcome {
  const need = q.need ?? needOf(methodOf(q.method));
  if (need === 'open') return q.method === 'AuthStatus' && who === 'unknown' ? 'bad token' : 'served';
  if (who === 'unknown') return q.method === 'Observe' ? 'ended' : 'bad token';
  // A txn that touches nothing is nobody's.
  if (who === 'nobody' && need === 'keys' && q.keys === 'nothing') return 'served';
  if (who === 'nobody') return q.method === 'Observe' ? 'ended' : 'no user';
  switch (need) {
    case 'user':
      return 'served';
    case 'admin':
      return who === 'root' ? 'served' : 'denied';
    case 'own':
      return who === 'root' || who === q.own ? 'served' : 'denied';
    default:
      if (mayKeys[who].includes(q.keys ?? 'nothing')) return 'served';
      return q.method === 'Observe' ? 'ended' : 'denied';
  }
}

function wrapped(q: Question, request: object, form: Form): object | undefined {
  const field = { Range: 'requestRange', Put: 'requestPut', DeleteRange: 'requestDeleteRange', Txn: 'requestTxn' }[q.method];
  if (field === undefined) return undefined;
  let op: object = { [field]: request };
  if (form === 'nested') for (let i = 0; i < 3; i++) op = { requestTxn: i % 2 === 0 ? { success: [op] } : { failure: [op] } };
  return { success: [op] };
}

class Server {
  readonly member: MemberProcess & { remove(): Promise<void> };
  readonly channel: Channel;
  readonly tokens = new Map<Who, string>();
  #n = 0;

  constructor(member: MemberProcess & { remove(): Promise<void> }) {
    this.member = member;
    this.channel = connectGrpcJs(
      { text: member.endpoint, address: member.endpoint, secure: false, unix: false },
      { tls: undefined, connectTimeoutMs: 30_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
    );
  }

  async prepare(): Promise<void> {
    const call = (name: string, request: object, token?: string): Promise<unknown> =>
      this.channel.unary(methodOf(name), request, { timeoutMs: 30_000, ...(token === undefined ? {} : { metadata: { token } }) });
    for (const name of ['without', 'reader', 'writer', 'both', 'root']) await call('UserAdd', { name, password: 'secret-1' });
    for (const [role, permType] of [
      ['reader', 0],
      ['writer', 1],
      ['both', 2],
    ] as const) {
      await call('RoleAdd', { name: role });
      await call('RoleGrantPermission', { name: role, perm: { permType, ...prefix } });
      await call('UserGrantRole', { user: role, role });
    }
    await call('UserGrantRole', { user: 'root', role: 'root' });
    for (const ID of [7n, 8n, 9n]) await call('LeaseGrant', { ID, TTL: 60_000 });
    await call('Put', { key: b('m/l'), lease: 7n });
    await call('Campaign', { name: b('m/e'), lease: 9n, value: b('first') });
    // One lease for each cell that may revoke it.
    for (let n = 0; n < people.length * forms.length; n++) {
      await call('LeaseGrant', { ID: BigInt(1000 + n), TTL: 60_000 });
      await call('Put', { key: b(`m/r/${n}`), lease: BigInt(1000 + n) });
    }
    await call('AuthEnable', {});
    this.tokens.set('unknown', 'AAAAAAAAAAAAAAAA.3');
    for (const name of ['without', 'reader', 'writer', 'both', 'root'] as const) {
      const { token } = (await call('Authenticate', { name, password: 'secret-1' })) as { token: string };
      this.tokens.set(name, token);
    }
  }

  /** Undefined where a request has no such form. */
  async ask(q: Question, who: Who, form: Form): Promise<Outcome | undefined> {
    let method = methodOf(q.method);
    const n = q.method === 'LeaseRevoke' ? this.#n++ : 0;
    let request: object | undefined = JSON.parse(JSON.stringify(q.request(n), keepBytes), backToBytes) as object;
    if ('peerURLs' in request)
      request = {
        ...request,
        peerURLs: (request.peerURLs as string[]).map((u) => u.replace('PEER', String(this.member.options.peerPort))),
      };
    if (form === 'txn' || form === 'nested') {
      request = wrapped(q, request, form);
      method = methodOf('Txn');
    }
    if (request === undefined) return undefined;
    const token = this.tokens.get(who);
    if (form === 'gateway') return method.httpPath === '' ? undefined : this.#byGateway(method, request, token);
    return this.#byGrpc(method, request, token);
  }

  async #byGrpc(method: MethodDef, request: object, token: string | undefined): Promise<Outcome> {
    const options = { timeoutMs: 30_000, ...(token === undefined ? {} : { metadata: { token } }) };
    try {
      if (!method.requestStream && !method.responseStream) {
        await this.channel.unary(method, request, options);
        return 'served';
      }
      return await new Promise<Outcome>((resolve, reject) => {
        const stream = this.channel.stream(method, options);
        stream.onMessage = (m) => {
          resolve(ofText((m as { cancelReason?: string }).cancelReason ?? ''));
          stream.cancel();
        };
        stream.onEnd = (status) => (status.code === 0 ? resolve('ended') : reject(new RpcError(status)));
        stream.send(request);
        if (!method.requestStream) stream.halfClose();
      });
    } catch (e) {
      if (!(e instanceof RpcError)) throw e;
      const outcome = ofText(e.message);
      // Locks and elections know errors by their text alone.
      const plain = { 'no user': errors.userEmpty, 'bad token': errors.invalidAuthToken, denied: errors.permissionDenied } as Record<
        string,
        Status
      >;
      const wanted = needOf(method) === 'inner' ? 2 : plain[outcome]?.code;
      if (outcome !== 'served' && wanted !== e.code) throw new Error(`${method.name}: ${outcome} as code ${e.code}`, { cause: e });
      return outcome;
    }
  }

  async #byGateway(method: MethodDef, request: object, token: string | undefined): Promise<Outcome> {
    const abort = new AbortController();
    const body = messageToJson(method.request.typeName, method.request.decode(method.request.encode(request)) as object);
    const response = await fetch(`${this.member.url}${method.httpPath}`, {
      method: 'POST',
      body,
      headers: token === undefined ? {} : { authorization: token },
      signal: AbortSignal.any([abort.signal, AbortSignal.timeout(30_000)]),
    });
    let text = '';
    if (response.body !== null)
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        text += Buffer.from(chunk).toString('utf8');
        // The first line of a stream is enough.
        if (method.responseStream && text.includes('\n')) break;
      }
    abort.abort();
    return method.responseStream && text === '' ? 'ended' : ofText(text);
  }
}

function ofText(text: string): Outcome {
  if (text.includes('user name is empty')) return 'no user';
  if (text.includes('invalid auth token')) return 'bad token';
  return text.includes('permission denied') ? 'denied' : 'served';
}

function keepBytes(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { big: String(value) };
  return value;
}
function backToBytes(_key: string, value: unknown): unknown {
  const v = value as { type?: string; data?: number[]; big?: string } | null;
  if (v !== null && typeof v === 'object' && v.type === 'Buffer') return Buffer.from(v.data ?? []);
  if (v !== null && typeof v === 'object' && v.big !== undefined) return BigInt(v.big);
  return value;
}

describe('S-001, S-003, S-006, S-049: the table of rules', () => {
  const servers: Server[] = [];
  afterAll(async () => {
    for (const s of servers) {
      s.channel.close();
      await s.member.remove();
    }
  });

  it('has a question for every method', () => {
    expect(methods.map((m) => m.name).filter((name) => !questions.some((q) => q.method === name))).toEqual([]);
  });

  it.each((['tsetcd', 'etcd'] as const).filter((k) => k === 'tsetcd' || reference('etcd') !== undefined))(
    'is what %s does, for everybody, in every form',
    async (kind) => {
      const server = new Server(
        await oneMember({ kind, args: ['--bcrypt-cost', '4', '--auth-token-ttl', '3000', '--log-level', 'error'] }),
      );
      servers.push(server);
      await server.prepare();
      const wrong: string[] = [];
      let asked = 0;
      for (const q of questions)
        for (const form of forms)
          for (const who of people) {
            // Not before everything else was asked.
            if (q.method === 'AuthDisable' && who === 'root' && form !== 'gateway') continue;
            const outcome = await server.ask(q, who, form);
            if (outcome === undefined) continue;
            asked++;
            const rule = expected(q, who);
            if (outcome !== rule) wrong.push(`${q.method} ${q.as ?? ''} ${form} by ${who}: ${outcome}, by the table ${rule}`);
          }
      expect(wrong).toEqual([]);
      expect(asked).toBeGreaterThan(700);
    },
    240_000,
  );
});
