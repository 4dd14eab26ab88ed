/** The offline tools on the real disk. */
import type { Log, LogFields } from '../../base/log.ts';
import { RealClock } from '../../host/real-clock.ts';
import { RealDisk } from '../../host/real-disk.ts';
import { OfflineError } from '../../server/offline/errors.ts';
import type { Tool } from '../../server/offline/tool.ts';
import { CommandError } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';

/** Runs a tool for a command. `label` heads its progress display. @throws CommandError */
export async function withTool<T>(inv: Invocation, label: string, run: (tool: Tool) => Promise<T>): Promise<T> {
  const meter = progress(label);
  // Waiting for another process's lock keeps nothing else alive.
  const alive = setInterval(() => undefined, 1000);
  const log = consoleLog(['info', 'warn', 'error']);
  try {
    return await run({
      disk: new RealDisk(),
      clock: new RealClock(),
      log,
      storageLog: consoleLog(['warn', 'error']),
      lockTimeoutMs: inv.flags.duration('timeout'),
      progress: ({ bytes, totalBytes }) => meter.update(bytes, totalBytes),
    });
  } catch (error) {
    if (error instanceof OfflineError) throw new CommandError(error.exitCode, error.message, { cause: error });
    throw error;
  } finally {
    clearInterval(alive);
    meter.end();
  }
}

type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Lines as zap's console encoder writes them: time, level, message and fields, with tabs between. */
function consoleLog(levels: readonly Level[]): Log {
  const write =
    (level: Level) =>
    (message: string, fields?: LogFields): void => {
      if (!levels.includes(level)) return;
      const time = `${new Date().toISOString().slice(0, 19)}Z`;
      stderr(`${[time, level, message, ...(fields === undefined ? [] : [JSON.stringify(fields, plain)])].join('\t')}\n`);
    };
  const log: Log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    fatal: write('fatal'),
    named: () => log,
    debugEnabled: false,
  };
  return log;
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString(16) : value;
}
