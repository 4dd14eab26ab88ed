/** The two listings of the offline tool, in its formats. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr, stdout } from '../frame/output.ts';

export interface Listing {
  /** JSON and `-w fields`, in order: name in JSON, name in fields, value. */
  readonly fields: readonly (readonly [json: string, name: string, value: string | number])[];
  /** `-w table` and `-w simple`: heading, cell. */
  readonly cells: readonly (readonly [heading: string, cell: string])[];
}

/** Checks the format before any work is done. @throws CommandError */
export function formatOf(inv: Invocation): 'simple' | 'json' | 'fields' | 'table' {
  const format = inv.flags.string('write-out');
  if (format === 'simple' || format === 'json' || format === 'fields' || format === 'table') return format;
  if (format === 'protobuf') throw new CommandError(ExitCode.BadFeature, 'protobuf not supported as output format');
  stderr('unsupported output format\n');
  throw new CommandError(ExitCode.BadFeature, '');
}

export async function printListing(format: ReturnType<typeof formatOf>, listing: Listing): Promise<void> {
  const { fields, cells } = listing;
  switch (format) {
    case 'json':
      return stdout(`${JSON.stringify(Object.fromEntries(fields.map(([json, , value]) => [json, value])))}\n`);
    case 'fields':
      return stdout(fields.map(([, name, value]) => `"${name}" : ${value}\n`).join(''));
    case 'simple':
      return stdout(`${cells.map(([, cell]) => cell).join(', ')}\n`);
    case 'table': {
      const { box } = await import('../printers/box.ts');
      return stdout(
        box(
          cells.map(([heading]) => heading),
          [cells.map(([, cell]) => cell)],
        ),
      );
    }
  }
}
