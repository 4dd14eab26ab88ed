// Random users, roles and permissions, then the same calls under changing users; switched on and off on the way.
import { Generator } from './generate.mjs';

const users = ['root', 'ann', 'bob', 'cy', ''];
const roles = ['root', 'r1', 'r2', 'r3', ''];
const passwords = ['pw', 'pw', 'pw2', ''];

export async function authRun(pair, rng, steps) {
  const g = new Generator(rng);
  /** user → tokens of both servers */
  const tokens = new Map();
  let current;
  const call = async (name, message) => {
    const answer = await pair.unary(name, message, { token: current === undefined ? undefined : tokens.get(current) });
    const revision = Number(answer.reply?.header?.revision ?? 0);
    if (revision > g.revision) g.revision = revision;
    return answer;
  };
  const login = async (name) => {
    const password = rng.chance(0.9) ? 'pw' : rng.pick(passwords);
    const both = await pair.tokens(name, password);
    if (both !== undefined) tokens.set(name, both);
  };
  await call('Auth/UserAdd', { name: 'root', password: 'pw' });
  await call('Auth/UserGrantRole', { user: 'root', role: 'root' });
  for (let i = 0; i < steps; i++) {
    const user = rng.pick(users);
    const role = rng.pick(roles);
    switch (
      rng.weighted([
        [2, 'useradd'],
        [1, 'userdelete'],
        [0.5, 'password'],
        [2, 'grantrole'],
        [1, 'revokerole'],
        [2, 'roleadd'],
        [0.7, 'roledelete'],
        [4, 'grantperm'],
        [1, 'revokeperm'],
        [1, 'get'],
        [0.5, 'list'],
        [1, 'switch'],
        [2, 'login'],
        [4, 'become'],
        [14, 'data'],
        [1, 'other'],
      ])
    ) {
      case 'useradd':
        await call('Auth/UserAdd', {
          name: user,
          password: rng.pick(passwords),
          ...(rng.chance(0.1) ? { options: { no_password: true } } : {}),
        });
        break;
      case 'userdelete':
        if (user !== 'root' || rng.chance(0.2)) await call('Auth/UserDelete', { name: user });
        if (user === 'root') await call('Auth/UserAdd', { name: 'root', password: 'pw' });
        break;
      case 'password':
        if (user !== 'root') await call('Auth/UserChangePassword', { name: user, password: rng.pick(passwords) });
        break;
      case 'grantrole':
        await call('Auth/UserGrantRole', { user, role });
        break;
      case 'revokerole':
        if (user !== 'root') await call('Auth/UserRevokeRole', { name: user, role });
        break;
      case 'roleadd':
        await call('Auth/RoleAdd', { name: role });
        break;
      case 'roledelete':
        if (role !== 'root') await call('Auth/RoleDelete', { role });
        break;
      case 'grantperm': {
        const { key, range_end } = g.range();
        const perm = { permType: rng.chance(0.03) ? 5 : rng.int(3), key, ...(range_end === undefined ? {} : { range_end }) };
        await call('Auth/RoleGrantPermission', { name: role, ...(rng.chance(0.97) ? { perm } : {}) });
        break;
      }
      case 'revokeperm': {
        const { key, range_end } = g.range();
        await call('Auth/RoleRevokePermission', { role, key, ...(range_end === undefined ? {} : { range_end }) });
        break;
      }
      case 'get':
        await call(...(rng.chance(0.5) ? ['Auth/UserGet', { name: user }] : ['Auth/RoleGet', { role }]));
        break;
      case 'list':
        await call(rng.pick(['Auth/UserList', 'Auth/RoleList', 'Auth/AuthStatus']), {});
        break;
      case 'switch':
        if (rng.chance(0.7)) await call('Auth/AuthEnable', {});
        else {
          await call('Auth/AuthDisable', {});
        }
        break;
      case 'login':
        await login(user);
        break;
      case 'become':
        // Most often root: only that way the state moves on.
        current = rng.weighted([
          [3, 'root'],
          [1, 'ann'],
          [1, 'bob'],
          [1, 'cy'],
          [0.5, undefined],
        ]);
        if (current !== undefined && (!tokens.has(current) || rng.chance(0.3))) await login(current);
        break;
      case 'data':
        await call(
          ...rng.pick([
            ['KV/Put', g.putRequest()],
            ['KV/Range', g.rangeRequest()],
            ['KV/DeleteRange', g.deleteRequest()],
            ['KV/Txn', g.txnRequest()],
          ]),
        );
        break;
      case 'other': {
        const grant = g.grantRequest();
        const [name, message] = rng.pick([
          ['Lease/LeaseGrant', grant],
          ['Lease/LeaseTimeToLive', { ID: g.lease(), keys: false }],
          ['Lease/LeaseRevoke', { ID: g.lease() }],
          ['Lease/LeaseLeases', {}],
          ['KV/Compact', { revision: g.someRevision() }],
          ['Cluster/MemberList', {}],
          ['Cluster/MemberPromote', { ID: 1 }],
          ['Maintenance/HashKV', {}],
          ['Maintenance/Alarm', {}],
          ['Maintenance/Defragment', {}],
          ['Maintenance/Downgrade', { action: 2 }],
        ]);
        const { reply } = await call(name, message);
        if (name === 'Lease/LeaseGrant' && reply !== undefined) g.leases.push(grant.ID);
        break;
      }
    }
  }
}
