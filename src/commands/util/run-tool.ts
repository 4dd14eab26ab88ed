/** Runs an offline tool and prints what it found. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import type * as offlineTools from './offline.ts';
import type { Tool } from '../../server/offline/tool.ts';

type Offline = typeof offlineTools;

/** @throws CommandError in etcdutl's words */
export async function runTool<T>(inv: Invocation, work: (offline: Offline, tool: Tool) => Promise<T> | T): Promise<T> {
  const offline = await import('./offline.ts');
  const meter = await progress(inv, inv.path.spec.name);
  // While it waits for the lock of another process, nothing else keeps this one alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    return await work(
      offline,
      offline.realTool(inv.flags.duration('timeout'), (p) => meter.update(p.bytes, p.totalBytes)),
    );
  } catch (error) {
    if (!(error instanceof offline.OfflineError)) throw error;
    throw new CommandError(error.exitCode, error.message, { cause: error });
  } finally {
    clearInterval(alive);
    meter.end();
  }
}

/** One finding, in the formats that etcdutl has. */
export interface Finding {
  readonly simple: readonly string[];
  readonly json: object;
  readonly fields: readonly (readonly [string, string | number])[];
  readonly header: readonly string[];
}

/** @throws CommandError for a format that etcdutl refuses. */
export async function printFinding(inv: Invocation, finding: Finding): Promise<void> {
  const format = inv.flags.string('write-out');
  switch (format) {
    case 'simple':
      return stdout(`${finding.simple.join(', ')}\n`);
    case 'json':
      return stdout(`${JSON.stringify(finding.json)}\n`);
    case 'fields':
      return stdout(finding.fields.map(([name, value]) => `"${name}" : ${value}\n`).join(''));
    case 'table': {
      const { box } = await import('../printers/box.ts');
      return stdout(box(finding.header, [finding.simple]));
    }
    case 'protobuf':
      throw new CommandError(ExitCode.BadFeature, 'protobuf not supported as output format');
    default:
      throw new CommandError(ExitCode.BadFeature, 'unsupported output format');
  }
}

/** Refuses an unknown format before the work is done. @throws CommandError */
export function checkFormat(inv: Invocation): void {
  if (!['simple', 'json', 'fields', 'table', 'protobuf'].includes(inv.flags.string('write-out')))
    throw new CommandError(ExitCode.BadFeature, 'unsupported output format');
}
