// The table of rules decides before any handler runs: what a handler forgets cannot be forgotten.
import { afterEach, describe, expect, it } from 'vitest';
import { KV, Lease, Maintenance, methods, Watch, type MethodDef } from '../../../src/api/gen/methods.ts';
import { errors } from '../../../src/api/status.ts';
import type { AuthStore } from '../../../src/server/auth/auth-store.ts';
import { authorize, mustHaveRule, needOf } from '../../../src/server/auth/rules.ts';
import { ServiceContext } from '../../../src/server/services/context.ts';
import { HandlerTable } from '../../../src/wire/call.ts';
import { InProcessChannel } from '../../../src/wire/in-process.ts';
import { LoneMember } from './lone-member.ts';

/** Auth on, every caller unknown. */
const strict = {
  enabled: true,
  revision: 3,
  authInfo: () => ({ error: undefined, info: undefined }),
  tokenIndex: () => 0,
  check: () => errors.userEmpty,
  checkRange: () => errors.userEmpty,
  checkAdmin: () => errors.userEmpty,
  checkUser: () => errors.userEmpty,
  checkLease: () => errors.userEmpty,
  rootInfo: () => undefined,
  apply: () => {
    throw new Error('not reached');
  },
  prepare: () => undefined,
  restore: () => undefined,
  close: () => undefined,
} as unknown as AuthStore;

describe('admission', () => {
  const channels: InProcessChannel[] = [];
  afterEach(() => {
    for (const c of channels.splice(0)) c.close();
  });

  function server(register: (context: ServiceContext) => void): InProcessChannel {
    const member = new LoneMember({ auth: strict });
    const table = new HandlerTable();
    register(new ServiceContext(table, member, { snapshots: { open: () => Promise.reject(new Error('none')) } as never }));
    const peer = { address: 'test', commonName: undefined, viaGateway: false };
    const channel = new InProcessChannel({ table, clock: member.clock, peer });
    channels.push(channel);
    return channel;
  }

  it('refuses before a handler that asks nothing', async () => {
    let reached = 0;
    const channel = server((context) => {
      context.unary(KV.put, () => reached++);
      context.unary(KV.range, () => reached++, { read: () => true });
      context.unary(Maintenance.defragment, () => reached++);
    });
    for (const m of [KV.put, KV.range, Maintenance.defragment] as MethodDef[])
      await expect(channel.unary(m, { key: Buffer.from('k') }, {})).rejects.toThrow('user name is empty');
    expect(reached).toBe(0);
  });

  it('shows no message of a stream to who may not send it', async () => {
    const seen: unknown[] = [];
    const channel = server((context) => {
      context.stream(Lease.leaseKeepAlive, (scope) => {
        scope.onRequest = (request) => seen.push(request.open());
      });
      context.stream(Watch.watch, (scope) => {
        scope.onRequest = (request) => {
          const opened = request.open((status) => scope.fail(status));
          seen.push(opened === undefined ? undefined : Object.keys(opened));
        };
      });
    });
    for (const [m, request] of [
      [Lease.leaseKeepAlive, { ID: 5n }],
      [Watch.watch, { createRequest: { key: Buffer.from('a') } }],
    ] as [MethodDef, object][]) {
      const status = await new Promise((resolve) => {
        const stream = channel.stream(m, {});
        stream.onEnd = resolve;
        stream.send(request);
      });
      expect(status).toMatchObject(errors.userEmpty);
    }
    expect(seen).toEqual([undefined, undefined]);
  });

  it('serves nothing that has no rule', () => {
    const odd = { ...methods[0], path: '/etcdserverpb.KV/Odd', name: 'Odd' } as MethodDef;
    expect(needOf(odd)).toBeUndefined();
    expect(() => mustHaveRule(odd)).toThrow('every method that is served has a rule');
    expect(() => server((context) => context.unary(odd, () => undefined))).toThrow('every method that is served has a rule');
    expect(() => server((context) => context.stream(odd, () => undefined))).toThrow('every method that is served has a rule');
    expect(authorize({ auth: strict, leaseIds: () => [] }, odd, { username: 'root', revision: 3 }, {})).toBe(errors.permissionDenied);
    for (const path of ['/constructor', '__proto__', '/etcdserverpb.KV/range'])
      expect(needOf({ ...odd, path } as MethodDef)).toBeUndefined();
  });
});
