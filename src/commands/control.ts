/** The control and offline tools: one command line, run to its exit code. */
import { runProgram } from './frame/run.ts';

/** Runs one command line of `program` (the name it was called by) and ends the process with its exit code. */
export async function runControl(program: string, args: readonly string[]): Promise<void> {
  const code = await runProgram(program, args);
  // At once: open connections and timers have nothing left to do.
  process.exit(code);
}

export { runProgram };
