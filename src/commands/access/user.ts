import type { AuthRoleGetResponse } from '../../api/gen/etcdserverpb.ts';
import { Auth } from '../../api/gen/methods.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import { stdin, stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';

const changed = (words: string, message: { header: AuthRoleGetResponse['header'] }, type: string) => ({
  words,
  message,
  typeName: `etcdserverpb.${type}`,
});

/** Asked for twice on the terminal, or one word of standard input. @throws CommandError when the two differ. */
async function newPassword(flags: Flags, user: string): Promise<string> {
  // The line end is enough: a terminal or a pipe may stay open behind it.
  if (!flags.bool('interactive')) return /^\s*(\S*)/.exec(stdin.next() ?? stdin.rest())?.[1] ?? '';
  const { askPassword } = await import('../frame/password.ts');
  const first = await askPassword(`Password of ${user}: `);
  if (first === '') throw badArgs('empty password');
  const again = await askPassword(`Type password of ${user} again for confirmation: `);
  if (first !== again) throw badArgs('given passwords are different');
  return first;
}

const interactive = {
  name: 'interactive',
  type: 'bool',
  default: 'true',
  usage: 'ask for the password; false: read one word of standard input',
} as const;

const add: CommandSpec = {
  name: 'add',
  args: '<name or name:password>',
  summary: 'Make a user',
  about: [
    'Makes a user. The password comes with the name, by --new-user-password, from the terminal (asked twice), or from standard input.',
  ],
  examples: [
    { command: 'user add alice', about: 'asks for a password' },
    { command: 'user add alice --no-password', about: 'known by the name in a client certificate' },
  ],
  flags: [
    interactive,
    { name: 'new-user-password', type: 'string', value: 'PASSWORD', usage: 'the password (visible to others on this machine)' },
    { name: 'no-password', type: 'bool', usage: 'a user without password, for client certificates' },
  ],
  async run(inv) {
    const [arg] = inv.args;
    if (inv.args.length !== 1 || arg === undefined) throw badArgs('user add command requires user name as its argument');
    let user = arg;
    let password = '';
    const noPassword = inv.flags.bool('no-password');
    if (!noPassword) {
      const given = inv.flags.string('new-user-password');
      const cut = arg.indexOf(':');
      if (given !== '') password = given;
      else if (cut < 0) password = await newPassword(inv.flags, arg);
      else {
        user = arg.slice(0, cut);
        // Everything behind the first colon is the password.
        password = arg.slice(cut + 1);
        if (user === '') throw badArgs('empty user name is not allowed');
      }
    }
    const response = await inv.call(Auth.userAdd, { name: user, password, options: { noPassword } });
    inv.print('authChange', changed(`User ${user} created`, response, 'AuthUserAddResponse'));
    return 0;
  },
};

const remove: CommandSpec = {
  name: 'delete',
  args: '<user>',
  summary: 'Delete a user',
  about: ['Deletes a user. Its tokens are of no more use.'],
  examples: [
    { command: 'user delete alice', about: 'by name' },
    { command: 'user delete alice --dry-run', about: 'only says which roles alice has' },
  ],
  flags: [...guardFlags],
  complete: ['users'],
  async run(inv) {
    const [user] = inv.args;
    if (inv.args.length !== 1 || user === undefined) throw badArgs('user delete command requires user name as its argument');
    const look = async (): Promise<Outlook> => {
      const { roles } = await inv.call(Auth.userGet, { name: user });
      return { deed: `delete user ${user}${roles.length === 0 ? '' : `, who has the roles ${roles.join(', ')}`}` };
    };
    if (!(await mayProceed(inv, look))) return 0;
    inv.print('authChange', changed(`User ${user} deleted`, await inv.call(Auth.userDelete, { name: user }), 'AuthUserDeleteResponse'));
    return 0;
  },
};

const get: CommandSpec = {
  name: 'get',
  args: '<user>',
  summary: 'Show the roles of a user',
  about: ['Shows the roles of a user; with --detail what these may read and write.'],
  examples: [
    { command: 'user get alice', about: 'its roles' },
    { command: 'user get alice --detail', about: 'and their permissions' },
  ],
  flags: [{ name: 'detail', type: 'bool', usage: 'also show the permissions of each role' }],
  complete: ['users'],
  async run(inv) {
    const [user] = inv.args;
    if (inv.args.length !== 1 || user === undefined) throw badArgs('user get command requires user name as its argument');
    const response = await inv.call(Auth.userGet, { name: user });
    if (!inv.flags.bool('detail')) {
      inv.print('userGet', { user, response });
      return 0;
    }
    stdout(`User: ${user}\n`);
    for (const role of response.roles) {
      stdout('\n');
      inv.print('roleGet', { role, response: await inv.call(Auth.roleGet, { role }) });
    }
    return 0;
  },
};

const list: CommandSpec = {
  name: 'list',
  args: '',
  summary: 'List the users',
  about: ['Lists the names of all users.'],
  examples: [
    { command: 'user list', about: 'one a line' },
    { command: 'user list -w json', about: 'as JSON' },
  ],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('user list command requires no arguments');
    inv.print('userList', await inv.call(Auth.userList, {}));
    return 0;
  },
};

const passwd: CommandSpec = {
  name: 'passwd',
  args: '<user>',
  summary: 'Change the password of a user',
  about: ['Changes the password of a user: asked for twice on the terminal, or read from standard input.'],
  examples: [
    { command: 'user passwd alice', about: 'asks for it' },
    { command: 'user passwd alice --interactive=false < secret.txt', about: 'from a file' },
  ],
  flags: [interactive],
  complete: ['users'],
  async run(inv) {
    const [user] = inv.args;
    if (inv.args.length !== 1 || user === undefined) throw badArgs('user passwd command requires user name as its argument');
    const password = await newPassword(inv.flags, user);
    const response = await inv.call(Auth.userChangePassword, { name: user, password });
    inv.print('authChange', changed('Password updated', response, 'AuthUserChangePasswordResponse'));
    return 0;
  },
};

const grantRole: CommandSpec = {
  name: 'grant-role',
  args: '<user> <role>',
  summary: 'Give a user a role',
  about: ['Gives a user what a role may do.'],
  examples: [
    { command: 'user grant-role alice editor', about: 'one role' },
    { command: 'user grant-role root root', about: 'everything' },
  ],
  complete: ['users', 'roles'],
  async run(inv) {
    const [user, role] = inv.args;
    if (inv.args.length !== 2 || user === undefined || role === undefined)
      throw badArgs('user grant command requires user name and role name as its argument');
    const response = await inv.call(Auth.userGrantRole, { user, role });
    inv.print('authChange', changed(`Role ${role} is granted to user ${user}`, response, 'AuthUserGrantRoleResponse'));
    return 0;
  },
};

const revokeRole: CommandSpec = {
  name: 'revoke-role',
  args: '<user> <role>',
  summary: 'Take a role from a user',
  about: ['Takes a role away from a user.'],
  examples: [
    { command: 'user revoke-role alice editor', about: 'one role' },
    { command: 'user revoke-role alice editor -w json', about: 'with the answer as JSON' },
  ],
  complete: ['users', 'roles'],
  async run(inv) {
    const [user, role] = inv.args;
    if (inv.args.length !== 2 || user === undefined || role === undefined)
      throw badArgs('user revoke-role requires user name and role name as its argument');
    const response = await inv.call(Auth.userRevokeRole, { name: user, role });
    inv.print('authChange', changed(`Role ${role} is revoked from user ${user}`, response, 'AuthUserRevokeRoleResponse'));
    return 0;
  },
};

export const user: CommandSpec = {
  name: 'user',
  group: 'Authentication commands',
  summary: 'Make, list and change users',
  about: ['Users log in by password or client certificate and have roles.'],
  commands: [add, remove, get, grantRole, list, passwd, revokeRole],
};
