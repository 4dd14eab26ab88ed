/** Chooses the output format and prints through it. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import type { RangeHead } from '../kv/range-parts.ts';
import { fieldsFormat } from './fields.ts';
import { jsonFormat } from './json.ts';
import type { Format, Kind, Kinds, RangeSink, Shows } from './kinds.ts';
import { protobufFormat } from './protobuf.ts';
import { simpleFormat } from './simple.ts';

export interface PrintOptions {
  readonly hex: boolean;
  /** Values without their keys. */
  readonly valueOnly: boolean;
  /** JSON shows text where bytes are valid UTF-8. */
  readonly utf8: boolean;
  /** Prints a table, which on a terminal may be too long for the screen. */
  readonly page: (text: string) => void;
}

export interface Printer {
  readonly format: string;
  readonly options: PrintOptions;
  /** @throws CommandError when the format has nothing for this kind. */
  print<K extends Kind>(kind: K, value: Kinds[K]): void;
  /** As `print` of a `get`, for pairs that come in parts. @throws CommandError */
  range(head: RangeHead): RangeSink;
}

type MakeFormat = (options: PrintOptions) => Format;

/** Formats of etcdctl. Those that scripts use most are at hand; tables are loaded when wanted. */
const formats: Readonly<Record<string, () => MakeFormat | Promise<MakeFormat>>> = {
  simple: () => simpleFormat,
  json: () => jsonFormat,
  fields: () => fieldsFormat,
  protobuf: () => protobufFormat,
  table: async () => (await import('./table.ts')).tableFormat,
};

/** Formats of our own; etcd's names keep refusing them. */
const ownFormats: Readonly<Record<string, () => Promise<MakeFormat>>> = {
  grid: async () => (await import('./own-formats.ts')).gridFormat,
  jsonl: async () => (await import('./own-formats.ts')).jsonLinesFormat,
  yaml: async () => (await import('./yaml.ts')).yamlFormat,
};

/** @throws CommandError for a format of another name. */
export async function makePrinter(flags: Flags, page: (text: string) => void): Promise<Printer> {
  const options = { hex: flags.bool('hex'), valueOnly: flags.bool('print-value-only'), utf8: flags.bool('utf8'), page };
  return printerOf(flags.string('write-out'), options, flags.has('utf8'));
}

export async function printerOf(format: string, options: PrintOptions, own: boolean): Promise<Printer> {
  const load = Object.hasOwn(formats, format) ? formats[format] : own && Object.hasOwn(ownFormats, format) ? ownFormats[format] : undefined;
  if (load === undefined) throw new CommandError(ExitCode.BadFeature, 'unsupported output format');
  const table = (await load())(options);
  const refused = (): CommandError => new CommandError(ExitCode.BadFeature, `${format} not supported as output format`);
  return {
    format,
    options,
    print(kind, value) {
      const show = (table as Shows)[kind];
      if (show === undefined) throw refused();
      show(value);
    },
    range(head) {
      if (table.range === undefined) throw refused();
      return table.range(head);
    },
  };
}
