/** Finds the command, parses its flags, runs it. */
export function runProgram(program: string, args: readonly string[]): Promise<number> {
  process.stderr.write(`Error: unknown command "${args[0] ?? ''}" for "${program}"\n`);
  return Promise.resolve(1);
}
