import { describe, expect, it } from 'vitest';
import { methods, type MethodDef } from '../../../src/api/gen/methods.ts';
import { errors } from '../../../src/api/status.ts';
import type { AuthStore } from '../../../src/server/auth/auth-store.ts';
import { authorize, needOf, type Need } from '../../../src/server/auth/rules.ts';
import { MiniMember } from '../apply/mini-member.ts';

function authOn(): MiniMember {
  const m = new MiniMember();
  const hash = Buffer.from('$2a$10$x').toString('base64');
  m.apply({ authUserAdd: { name: 'root', hashedPassword: hash } });
  m.apply({ authUserGrantRole: { user: 'root', role: 'root' } });
  m.apply({ authUserAdd: { name: 'u', hashedPassword: hash } });
  m.apply({ authEnable: {} });
  return m;
}

describe('rules', () => {
  it('exist for every method', () => {
    expect(methods.length).toBeGreaterThan(45);
    expect(methods.filter((m) => needOf(m) === undefined).map((m) => m.path)).toEqual([]);
  });

  it('leave open only what must be', () => {
    const of = (need: Need): string[] => methods.filter((m) => needOf(m) === need).map((m) => m.path.slice(1));
    expect(of('open')).toEqual(['etcdserverpb.Auth/AuthStatus', 'etcdserverpb.Auth/Authenticate']);
    expect(of('inner').every((p) => /^v3(lock|election)pb\./.test(p))).toBe(true);
    expect(of('user')).toEqual(['etcdserverpb.Lease/LeaseGrant', 'etcdserverpb.Cluster/MemberList', 'etcdserverpb.Maintenance/Status']);
  });

  it('refuse nobody for every call that is not open', () => {
    const { auth } = authOn();
    for (const m of methods) {
      const need = needOf(m);
      const request = { ...(m.request.create() as object), createRequest: { key: Buffer.from('a'), rangeEnd: Buffer.alloc(0) } };
      const outcome = authorize({ auth, leaseIds: () => [] }, m, undefined, request);
      if (need === 'open' || need === 'inner') expect(outcome, m.path).toBeUndefined();
      // A txn without operations touches nothing; asking for the user named '' is what nobody may ask for itself.
      else if (/Txn|UserGet/.test(m.path)) continue;
      else expect(outcome, m.path).toBe(errors.userEmpty);
    }
  });

  it('let root do everything and a user without roles nothing that needs more', () => {
    const { auth } = authOn();
    const user = { username: 'u', revision: auth.revision };
    for (const m of methods) {
      const request = {
        ...(m.request.create() as object),
        key: Buffer.from('a'),
        action: 1,
        createRequest: { key: Buffer.from('a'), rangeEnd: Buffer.alloc(0) },
        compare: [{ key: Buffer.from('a') }],
      };
      const scope = { auth, leaseIds: () => [] };
      expect(authorize(scope, m, auth.rootInfo(), request), m.path).toBeUndefined();
      const need = needOf(m);
      if (need === 'admin' || need === 'keys' || need === 'own') {
        expect(authorize(scope, m, user, request), m.path).toBe(errors.permissionDenied);
      } else expect(authorize(scope, m, user, request), m.path).toBeUndefined();
    }
  });

  it('refuse a method that has none', () => {
    const { auth } = authOn();
    const odd = { ...methods[0], path: '/etcdserverpb.KV/Odd' } as MethodDef;
    expect(authorize({ auth, leaseIds: () => [] }, odd, auth.rootInfo(), {})).toBe(errors.permissionDenied);
  });

  it('cost nothing with auth off', () => {
    const auth = { enabled: false } as AuthStore;
    for (const m of methods) expect(authorize({ auth, leaseIds: () => [] }, m, undefined, {})).toBeUndefined();
  });
});
