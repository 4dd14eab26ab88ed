/** The control and offline tools: one command line, run to its exit code. */

/** Runs one command line of `program` (the name it was called by) and sets the process's exit code. */
export async function runControl(program: string, args: readonly string[]): Promise<void> {
  const { runProgram } = await import('./frame/run.ts');
  process.exitCode = await runProgram(program, args);
}
