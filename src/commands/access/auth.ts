import { Auth } from '../../api/gen/methods.ts';
import { RpcError } from '../../api/status.ts';
import { reasonOf } from '../../client/errors.ts';
import { badArgs, CommandError } from '../frame/exit.ts';
import { stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';

function noArguments(name: string, args: readonly string[]): void {
  if (args.length > 0) throw badArgs(`auth ${name} command does not accept any arguments`);
}

export const auth: CommandSpec = {
  name: 'auth',
  group: 'Authentication commands',
  summary: 'Turn authentication on and off',
  about: ['With authentication on, every call needs a user, and the user permission for the keys.'],
  commands: [
    {
      name: 'disable',
      args: '',
      summary: 'Turn authentication off',
      about: ['Lets everyone do everything again. Users and roles are kept.'],
      examples: [
        { command: 'auth disable --user=root:secret', about: 'as root' },
        { command: 'auth disable --cert=root.pem --key=root-key.pem --cacert=ca.pem', about: "as root by a certificate's name" },
      ],
      async run(inv) {
        noArguments('disable', inv.args);
        await inv.call(Auth.authDisable, {});
        stdout('Authentication Disabled\n');
        return 0;
      },
    },
    {
      name: 'enable',
      args: '',
      summary: 'Turn authentication on',
      about: ['Needs a user root; gives it the role root when it has none.'],
      examples: [
        { command: 'auth enable', about: 'after `user add root`' },
        { command: 'auth enable --user=root:secret', about: 'when it may be on already' },
      ],
      async run(inv) {
        noArguments('enable', inv.args);
        try {
          await inv.call(Auth.authEnable, {});
        } catch (error) {
          if (!(error instanceof CommandError && error.cause instanceof RpcError && reasonOf(error.cause.status) === 'rootRoleNotExist'))
            throw error;
          await inv.call(Auth.roleAdd, { name: 'root' }).catch(tolerate('roleAlreadyExist'));
          await inv.call(Auth.userGrantRole, { user: 'root', role: 'root' });
          await inv.call(Auth.authEnable, {});
        }
        stdout('Authentication Enabled\n');
        return 0;
      },
    },
    {
      name: 'status',
      args: '',
      summary: 'Show whether authentication is on',
      about: ['Shows whether authentication is on, and the revision of users and roles.'],
      examples: [
        { command: 'auth status', about: 'as two lines' },
        { command: 'auth status -w json', about: 'as JSON' },
      ],
      async run(inv) {
        noArguments('status', inv.args);
        inv.print('authStatus', await inv.call(Auth.authStatus, {}));
        return 0;
      },
    },
  ],
};

function tolerate(reason: string): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof CommandError && error.cause instanceof RpcError && reasonOf(error.cause.status) === reason) return undefined;
    throw error;
  };
}
