import type { Client } from '../../client/client.ts';
import { ExitCode } from '../frame/exit.ts';
import type { Invocation, Surroundings } from '../frame/invocation.ts';
import { stderr, stdin, stdout } from '../frame/output.ts';
import { runTree } from '../frame/run.ts';
import { forgetSignals } from '../frame/signals.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { splitLine } from '../text/words.ts';
import { candidates } from './candidates.ts';

/** Lines of history that a prompt remembers. */
const historyLines = 1000;

/** Runs one line. Undefined when it asks to leave. */
async function runLine(around: Surroundings, line: string): Promise<number | undefined> {
  const words = splitLine(line.trim());
  const [first] = words;
  if (first === undefined || first.startsWith('#')) return ExitCode.Success;
  if (first === 'exit' || first === 'quit') return undefined;
  if (first === 'shell') {
    stderr('Error: already in a shell\n');
    return ExitCode.Error;
  }
  return runTree(around, words);
}

/** Commands of a file or a pipe: the first that fails ends the shell. What a command reads stands on the lines behind it. */
async function fromPipe(around: Surroundings): Promise<number> {
  for (let line = await stdin.nextLine(); line !== undefined; line = await stdin.nextLine()) {
    const code = await runLine(around, line);
    if (code !== ExitCode.Success) return code ?? ExitCode.Success;
  }
  return ExitCode.Success;
}

async function atPrompt(inv: Invocation, around: Surroundings): Promise<number> {
  const { createInterface } = await import('node:readline');
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    historySize: historyLines,
    removeHistoryDuplicates: true,
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
  // Ctrl-C drops the line that is being written, as shells do.
  prompt.on('SIGINT', () => {
    stdout('^C\n');
    prompt.write(null, { ctrl: true, name: 'e' });
    prompt.write(null, { ctrl: true, name: 'u' });
    prompt.prompt();
  });
  prompt.prompt();
  for await (const line of prompt) {
    // Commands have the terminal for themselves: they may ask for something, and Ctrl-C is theirs.
    prompt.pause();
    process.stdin.setRawMode(false);
    const code = await runLine(around, line);
    forgetSignals();
    if (code === undefined) return ExitCode.Success;
    process.stdin.setRawMode(true);
    prompt.resume();
    prompt.prompt();
  }
  stdout('\n');
  return ExitCode.Success;
}

export const shell: CommandSpec = {
  name: 'shell',
  args: '',
  group: 'Utility commands',
  own: true,
  summary: 'Run commands at a prompt, over one connection',
  about: [
    'Reads commands, one a line, and runs them over one connection: at a prompt with history and completion, or from a pipe, where the first failure ends the shell with its exit code.',
    'Words are split as in a txn: blanks separate, quotes group; a line that begins with # is a comment. A command that reads standard input, such as txn, takes the lines behind it. Ctrl-C ends a watch, a lock or an election, `exit` or the end of input the shell.',
  ],
  examples: [
    { command: 'shell', about: 'a prompt' },
    { command: 'shell < commands.txt', about: 'commands from a file' },
  ],
  async run(inv) {
    const { isatty } = await import('node:tty');
    const shared: Client = await inv.client();
    const around = { ...inv.around, client: shared };
    return isatty(0) && isatty(1) ? atPrompt(inv, around) : fromPipe(around);
  },
};
