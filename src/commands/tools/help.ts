import { childNamed } from '../frame/find.ts';
import { stderr, stdout } from '../frame/output.ts';
import type { CommandPath, CommandSpec } from '../frame/spec.ts';

export const help: CommandSpec = {
  name: 'help',
  args: '[command...]',
  group: 'Utility commands',
  summary: 'Tell about a command',
  about: ['Shows the help of a command, or with `exit-codes` what the exit codes mean.'],
  examples: [
    { command: 'help lease grant', about: 'the help of `lease grant`' },
    { command: 'help exit-codes', about: 'what the exit codes mean' },
  ],
  async run(inv) {
    const { exitCodesText, helpText } = await import('../frame/help.ts');
    const own = inv.program !== 'etcdctl' && !inv.program.endsWith('etcdutl');
    if (own && inv.args[0] === 'exit-codes') {
      stdout(exitCodesText());
      return 0;
    }
    let path: CommandPath = { spec: inv.around.root, parents: [] };
    for (const word of inv.args) {
      const next = childNamed(path.spec, word);
      if (next === undefined) {
        // A topic below a command that has no children is passed over, as cobra does.
        if ((path.spec.commands ?? []).length === 0) break;
        stderr(`Unknown help topic [${inv.args.map((a) => `\`${a}\``).join(' ')}]\n`);
        stderr(helpText(inv.around, { spec: inv.around.root, parents: [] }, 'usage'));
        return 0;
      }
      path = { spec: next, parents: [...path.parents, path.spec] };
    }
    stdout(helpText(inv.around, path, 'help'));
    return 0;
  },
};

export const options: CommandSpec = {
  name: 'options',
  args: '',
  group: 'Utility commands',
  summary: 'List the flags that every command understands',
  about: ['Lists the flags that every command understands. Each has an environment variable, `ETCDCTL_` and its name in capitals.'],
  examples: [
    { command: 'options', about: 'the list' },
    { command: 'options | grep tls', about: 'those about TLS' },
  ],
  async run(inv) {
    const { flagsText } = await import('../frame/help.ts');
    stdout(`The following options can be passed to any command:\n\n${flagsText(inv.around.globals)}`);
    return 0;
  },
};
