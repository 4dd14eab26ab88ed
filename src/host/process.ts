/** The process around a member: signals, exit codes, the last log line. */
import { setFlagsFromString } from 'node:v8';
import type { HostLog } from './log.ts';

/** Exit codes: what an operator or a supervisor may act on. */
export const ExitCode = {
  Startup: 1,
  Usage: 2,
  /** The data is refused: bad checksums, a gap, a newer version, another member's. */
  DataRefused: 20,
  /** A write or sync failed. */
  Disk: 21,
  /** A bug: a broken invariant or an exception nobody caught. */
  Internal: 22,
} as const;

/** Longest time an orderly stop may take (rule F-14); after it the signal ends the process as it is. */
const stopMsMax = 5000;

/**
 * How far the heap may grow beyond what lived through the last full collection, in percent, before the next one. V8 lets a small heap at least
 * double: 37 MB for the 13 that a loaded member holds. Full collections run beside it for the most part; under 25,000 puts/s more of them showed
 * in neither CPU nor latency.
 */
const heapGrowthPercent = 30;

/**
 * To be called once the member serves: while it starts, its heap grows with what it reads (leases) and collections would only cost time; and code
 * that V8 compiled ahead counts only for the flags it was made with.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
}

/** Logs the last words, gets them out, and ends the process. */
export function exitWith(log: HostLog | undefined, code: number): never {
  log?.flush();
  process.exit(code);
}

/**
 * SIGTERM and SIGINT stop the member in order and then end the process by the same signal, as etcd does, so that the parent sees 143 or
 * 130; as pid 1, which no default action ends, it exits with 0. A second signal ends it at once.
 */
export function onStopSignal(log: HostLog, stop: () => Promise<void>): void {
  const names = { SIGTERM: 'terminated', SIGINT: 'interrupt' } as const;
  let stopping = false;
  const handle = (signal: 'SIGTERM' | 'SIGINT'): void => {
    if (stopping) return;
    stopping = true;
    log.info('received signal; shutting down', { signal: names[signal] });
    for (const name of Object.keys(names)) process.removeListener(name, handle);
    const end = (): void => {
      log.flush();
      if (process.pid === 1) process.exit(0);
      process.kill(process.pid, signal);
      // The signal arrives within the turn; this keeps the loop from ending first with code 0.
      setTimeout(() => process.exit(signal === 'SIGTERM' ? 143 : 130), 1000);
    };
    const limit = setTimeout(end, stopMsMax);
    void stop().then(
      () => {
        clearTimeout(limit);
        end();
      },
      (error: unknown) => {
        clearTimeout(limit);
        log.error('failed to stop in order', { error });
        end();
      },
    );
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
}

/** The runtime would open its debugger's port on SIGUSR1, to whoever can reach it; a listener of our own keeps it shut. */
export function keepDebuggerShut(log: HostLog): void {
  process.on('SIGUSR1', () => {
    log.info('received signal; ignored', { signal: 'user defined signal 1' });
  });
}

/** Crash-only (rule F-13): what nobody caught ends the process, after `describe` has named an exit code for it. */
export function onUncaught(log: HostLog, codeOf: (error: unknown) => number): void {
  const die = (error: unknown): void => {
    const fields =
      error instanceof Error
        ? { error: error.message, code: (error as { code?: unknown }).code, stack: error.stack }
        : { error: String(error) };
    try {
      log.fatal('stopping after an error that nobody handled', fields);
    } finally {
      exitWith(log, codeOf(error));
    }
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
