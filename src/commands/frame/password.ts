/** Asks for a password on the terminal, without echo; takes a line of standard input when that is no terminal. */
import { openSync } from 'node:fs';
import { CommandError, ExitCode } from './exit.ts';
import { stderr, stdin, stdout } from './output.ts';

const interrupt = 3;
const endOfInput = 4;
const backspaces = new Set([8, 127]);

/** @throws CommandError when there is nobody to ask. */
export async function askPassword(prompt: string): Promise<string> {
  const { ReadStream, isatty } = await import('node:tty');
  if (!isatty(0)) {
    stdout(prompt);
    const line = stdin.next() ?? stdin.rest();
    stdout('\n');
    return line.replace(/\r$/, '');
  }
  const fd = openSync('/dev/tty', 'r');
  const tty = new ReadStream(fd);
  // First the echo goes, then the question comes: who answers at once is not seen either.
  tty.setRawMode(true);
  stdout(prompt);
  try {
    return await readHidden(tty);
  } finally {
    tty.setRawMode(false);
    tty.destroy();
    stdout('\n');
  }
}

function readHidden(tty: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: number[] = [];
    tty.on('error', (error) => reject(new CommandError(ExitCode.Error, error.message)));
    tty.on('data', (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte === interrupt) {
          stderr('\n');
          tty.setRawMode(false);
          process.kill(process.pid, 'SIGINT');
          return;
        }
        if (byte === 10 || byte === 13) return resolve(Buffer.from(typed).toString('utf8'));
        if (byte === endOfInput) return reject(new CommandError(ExitCode.Error, 'EOF'));
        if (backspaces.has(byte)) typed = typed.slice(0, -1);
        else typed.push(byte);
      }
    });
  });
}
