import type { Client } from '../../client/client.ts';
import { ExitCode } from '../frame/exit.ts';
import { stderr } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { splitLine } from '../text/words.ts';
import { candidates } from './candidates.ts';

/** Lines of history that a prompt remembers. */
const historyLines = 1000;

export const shell: CommandSpec = {
  name: 'shell',
  args: '',
  group: 'Utility commands',
  own: true,
  summary: 'Run commands at a prompt, over one connection',
  about: [
    'Reads commands, one a line, and runs them over one connection: at a prompt with history and completion, or from a pipe, where the first failure ends the shell with its exit code.',
    'Words are split as in a txn: blanks separate, quotes group. `exit` or the end of input leaves.',
  ],
  examples: [
    { command: 'shell', about: 'a prompt' },
    { command: 'shell < commands.txt', about: 'commands from a file' },
  ],
  async run(inv) {
    const { createInterface } = await import('node:readline');
    const { isatty } = await import('node:tty');
    const { runTree } = await import('../frame/run.ts');
    const terminal = isatty(0) && isatty(1);
    const shared: Client = await inv.client();
    const around = { ...inv.around, client: shared };
    const lines = createInterface({
      input: process.stdin,
      ...(terminal ? { output: process.stdout } : {}),
      terminal,
      historySize: historyLines,
      prompt: `${inv.program}> `,
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        const words = line.split(/\s+/);
        const last = words.at(-1) ?? '';
        candidates(around, words).then(
          (list) => done(null, [list.map((c) => c.value).filter((v) => v !== ':files'), last]),
          () => done(null, [[], last]),
        );
      },
    });
    if (terminal) lines.prompt();
    for await (const line of lines) {
      const words = splitLine(line.trim());
      if (words[0] === 'exit' || words[0] === 'quit') return 0;
      if (words[0] === 'shell') stderr('Error: already in a shell\n');
      else if (words.length > 0 && words[0]?.startsWith('#') !== true) {
        const code = await runTree(around, words);
        if (code !== ExitCode.Success && !terminal) return code;
      }
      if (terminal) lines.prompt();
    }
    return 0;
  },
};
