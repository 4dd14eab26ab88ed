import { Permission_Type as PermissionType } from '../../api/gen/authpb.ts';
import type { ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { Auth } from '../../api/gen/methods.ts';
import { prefixEnd } from '../../base/bytes.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { toBytes } from '../text/quote.ts';

const changed = (words: string, message: { header: ResponseHeader | undefined }, type: string) => ({
  words,
  message,
  typeName: `etcdserverpb.${type}`,
});

const types: Readonly<Record<string, PermissionType>> = {
  READ: PermissionType.READ,
  WRITE: PermissionType.WRITE,
  READWRITE: PermissionType.READWRITE,
};

const spanFlags: readonly FlagSpec[] = [
  { name: 'from-key', type: 'bool', usage: 'all keys from the given one on, by bytes' },
  { name: 'prefix', type: 'bool', usage: 'all keys that begin with the given one' },
];

/** The range of a permission. @throws CommandError */
function permissionRange(flags: Flags, keyText: string, endText: string | undefined): { key: Uint8Array; rangeEnd: Uint8Array } {
  const prefix = flags.bool('prefix');
  const fromKey = flags.bool('from-key');
  if (endText !== undefined) {
    if (prefix) throw badArgs('unexpected endkey argument with --prefix flag');
    if (fromKey) throw badArgs('unexpected endkey argument with --from-key flag');
  }
  if (prefix && fromKey) throw badArgs('--from-key and --prefix flags are mutually exclusive');
  // There is no empty key: the smallest one is meant, and with a flag every key from it on.
  // As etcdctl: an end beside it is passed over.
  if (keyText === '') return { key: new Uint8Array(1), rangeEnd: new Uint8Array(prefix || fromKey ? 1 : 0) };
  const key = toBytes(keyText);
  if (prefix) return { key, rangeEnd: prefixEnd(key) };
  if (fromKey) return { key, rangeEnd: new Uint8Array(1) };
  return { key, rangeEnd: endText === undefined ? new Uint8Array(0) : toBytes(endText) };
}

const add: CommandSpec = {
  name: 'add',
  args: '<role>',
  summary: 'Make a role',
  about: ['Makes a role without permissions.'],
  examples: [
    { command: 'role add editor', about: 'a role' },
    { command: 'role add editor -w json', about: 'with the answer as JSON' },
  ],
  async run(inv) {
    const [role] = inv.args;
    if (inv.args.length !== 1 || role === undefined) throw badArgs('role add command requires role name as its argument');
    inv.print('authChange', changed(`Role ${role} created`, await inv.call(Auth.roleAdd, { name: role }), 'AuthRoleAddResponse'));
    return 0;
  },
};

const remove: CommandSpec = {
  name: 'delete',
  args: '<role>',
  summary: 'Delete a role',
  about: ['Deletes a role, and takes it from every user that has it.'],
  examples: [
    { command: 'role delete editor', about: 'by name' },
    { command: 'role delete editor --dry-run', about: 'only says how many permissions it has' },
  ],
  flags: [...guardFlags],
  complete: ['roles'],
  async run(inv) {
    const [role] = inv.args;
    if (inv.args.length !== 1 || role === undefined) throw badArgs('role delete command requires role name as its argument');
    const look = async (): Promise<Outlook> => {
      const { perm } = await inv.call(Auth.roleGet, { role });
      return { deed: `delete role ${role} with its ${perm.length} permissions` };
    };
    if (!(await mayProceed(inv, look))) return 0;
    inv.print('authChange', changed(`Role ${role} deleted`, await inv.call(Auth.roleDelete, { role }), 'AuthRoleDeleteResponse'));
    return 0;
  },
};

const get: CommandSpec = {
  name: 'get',
  args: '<role>',
  summary: 'Show what a role may read and write',
  about: ['Shows the keys and ranges that a role may read and those it may write.'],
  examples: [
    { command: 'role get editor', about: 'as text' },
    { command: 'role get editor -w json', about: 'as JSON' },
  ],
  complete: ['roles'],
  async run(inv) {
    const [role] = inv.args;
    if (inv.args.length !== 1 || role === undefined) throw badArgs('role get command requires role name as its argument');
    inv.print('roleGet', { role, response: await inv.call(Auth.roleGet, { role }) });
    return 0;
  },
};

const list: CommandSpec = {
  name: 'list',
  args: '',
  summary: 'List the roles',
  about: ['Lists the names of all roles.'],
  examples: [
    { command: 'role list', about: 'one a line' },
    { command: 'role list -w json', about: 'as JSON' },
  ],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('role list command requires no arguments');
    inv.print('roleList', await inv.call(Auth.roleList, {}));
    return 0;
  },
};

const grant: CommandSpec = {
  name: 'grant-permission',
  args: '<role> <read|write|readwrite> <key> [endkey]',
  summary: 'Let a role read or write keys',
  about: ['Adds a permission for one key, for the keys in [key, endkey), for a prefix, or for all keys from one on.'],
  examples: [
    { command: 'role grant-permission editor readwrite pages/ --prefix', about: 'all keys below pages/' },
    { command: 'role grant-permission viewer read a b', about: 'the keys in [a, b)' },
  ],
  flags: spanFlags,
  complete: ['roles', ['read', 'write', 'readwrite'], 'keys', 'keys'],
  async run(inv) {
    const [role, type, key, end] = inv.args;
    if (role === undefined || type === undefined || key === undefined)
      throw badArgs('role grant command requires role name, permission type, and key [endkey] as its argument');
    const permType = types[type.toUpperCase()];
    if (permType === undefined) throw badArgs(`invalid permission type: ${type}`);
    const range = permissionRange(inv.flags, key, end);
    const response = await inv.call(Auth.roleGrantPermission, { name: role, perm: { permType, ...range } });
    inv.print('authChange', changed(`Role ${role} updated`, response, 'AuthRoleGrantPermissionResponse'));
    return 0;
  },
};

const revoke: CommandSpec = {
  name: 'revoke-permission',
  args: '<role> <key> [endkey]',
  summary: 'Take a permission from a role',
  about: ['Takes back a permission; key, end key and flags must be those it was granted with.'],
  examples: [
    { command: 'role revoke-permission editor pages/ --prefix', about: 'as it was granted' },
    { command: 'role revoke-permission viewer a b', about: 'the range [a, b)' },
  ],
  flags: spanFlags,
  complete: ['roles', 'keys', 'keys'],
  async run(inv) {
    const [role, key, end] = inv.args;
    if (role === undefined || key === undefined)
      throw badArgs('role revoke-permission command requires role name and key [endkey] as its argument');
    const range = permissionRange(inv.flags, key, end);
    const response = await inv.call(Auth.roleRevokePermission, { role, ...range });
    const open = range.rangeEnd.length === 1 && range.rangeEnd[0] === 0;
    const what =
      range.rangeEnd.length === 0
        ? `key ${key}`
        : `range [${key}, ${open ? '<open ended>' : `${Buffer.from(range.rangeEnd).toString('utf8')})`}`;
    inv.print('authChange', changed(`Permission of ${what} is revoked from role ${role}`, response, 'AuthRoleRevokePermissionResponse'));
    return 0;
  },
};

export const role: CommandSpec = {
  name: 'role',
  group: 'Authentication commands',
  summary: 'Make, list and change roles',
  about: ['A role is a set of permissions to read and write keys; users have roles.'],
  commands: [add, remove, get, grant, list, revoke],
};
