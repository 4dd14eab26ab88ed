/** Chooses the output format and prints through it. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import { fieldsFormat } from './fields.ts';
import { jsonFormat } from './json.ts';
import type { Format, Kind, Kinds } from './kinds.ts';
import { protobufFormat } from './protobuf.ts';
import { simpleFormat } from './simple.ts';

export interface PrintOptions {
  readonly hex: boolean;
  /** Values without their keys. */
  readonly valueOnly: boolean;
  /** JSON shows text where bytes are valid UTF-8. */
  readonly utf8: boolean;
}

export interface Printer {
  readonly format: string;
  readonly options: PrintOptions;
  /** @throws CommandError when the format has nothing for this kind. */
  print<K extends Kind>(kind: K, value: Kinds[K]): void;
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
export async function makePrinter(flags: Flags): Promise<Printer> {
  const options = { hex: flags.bool('hex'), valueOnly: flags.bool('print-value-only'), utf8: flags.bool('utf8') };
  return printerOf(flags.string('write-out'), options, flags.has('utf8'));
}

export async function printerOf(format: string, options: PrintOptions, own: boolean): Promise<Printer> {
  const load = Object.hasOwn(formats, format) ? formats[format] : own && Object.hasOwn(ownFormats, format) ? ownFormats[format] : undefined;
  if (load === undefined) throw new CommandError(ExitCode.BadFeature, 'unsupported output format');
  const table = (await load())(options);
  return {
    format,
    options,
    print(kind, value) {
      const show = table[kind];
      if (show === undefined) throw new CommandError(ExitCode.BadFeature, `${format} not supported as output format`);
      show(value);
    },
  };
}
