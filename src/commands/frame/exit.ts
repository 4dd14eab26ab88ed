/** Exit codes and the error that carries one: etcdctl's numbers. */

export const ExitCode = {
  Success: 0,
  Error: 1,
  BadConnection: 2,
  InvalidInput: 3,
  BadFeature: 4,
  Interrupted: 5,
  IO: 6,
  BadArgs: 128,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the command: `Error: text` on standard error, and the exit code. An empty text prints nothing. */
export class CommandError extends Error {
  readonly exit: number;

  constructor(exit: number, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'CommandError';
    this.exit = exit;
  }
}

export function badArgs(text: string): CommandError {
  return new CommandError(ExitCode.BadArgs, text);
}
