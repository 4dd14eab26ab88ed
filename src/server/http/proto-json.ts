/**
 * The proto3 JSON mapping as etcd's gateway speaks it: names from the schema on output, those and their camelCase on input; defaults left out;
 * 64-bit numbers as strings; bytes as base64; enums by name. Unknown names are ignored on input, both of fields and of enum values.
 */
import { enumValues, messageFields, type FieldRow } from '../../api/gen/schema.ts';
import { asBuffer } from '../../base/bytes.ts';
import { JsonError, placeOf, type JsonNode } from './json-reader.ts';

type Message = Record<string, unknown>;

interface MessageShape {
  readonly rows: readonly FieldRow[];
  /** By wire name and by camelCase. */
  readonly byName: ReadonlyMap<string, FieldRow>;
}
const shapes = new Map<string, MessageShape>();

const jsonName = (wireName: string): string => wireName.replace(/_+([a-zA-Z0-9])/g, (_, c: string) => c.toUpperCase());

function shapeOf(typeName: string): MessageShape {
  let shape = shapes.get(typeName);
  if (shape === undefined) {
    const rows = messageFields[typeName] ?? [];
    const byName = new Map<string, FieldRow>();
    for (const row of rows) {
      byName.set(row[1], row);
      byName.set(jsonName(row[1]), row);
    }
    shapes.set(typeName, (shape = { rows, byName }));
  }
  return shape;
}

const enumNames = new Map<string, ReadonlyMap<number, string>>();

function enumNameOf(typeName: string, value: number): string | undefined {
  let names = enumNames.get(typeName);
  if (names === undefined)
    enumNames.set(typeName, (names = new Map(Object.entries(enumValues[typeName] ?? {}).map(([name, n]) => [n, name]))));
  return names.get(value);
}

// ---- out

/** A message as compact JSON. */
export function messageToJson(typeName: string, message: object): string {
  let out = '{';
  for (const row of shapeOf(typeName).rows) {
    const [, wireName, name, , , repeated, oneof] = row;
    const value = (message as Message)[name];
    if (value === undefined) continue;
    let text: string;
    if (repeated === 1) {
      const list = value as readonly unknown[];
      if (list.length === 0) continue;
      text = `[${list.map((v) => valueToJson(row, v)).join(',')}]`;
    } else if (oneof === '' && isDefault(row, value)) continue;
    else text = valueToJson(row, value);
    out += `${out.length === 1 ? '' : ','}"${wireName}":${text}`;
  }
  return `${out}}`;
}

function isDefault([, , , kind]: FieldRow, value: unknown): boolean {
  switch (kind) {
    case 'message':
      return false;
    case 'bytes':
    case 'string':
      return (value as { readonly length: number }).length === 0;
    case 'bool':
      return value === false;
    default:
      return value === 0 || value === 0n;
  }
}

function valueToJson([, , , kind, typeName]: FieldRow, value: unknown): string {
  switch (kind) {
    case 'message':
      return messageToJson(typeName, value as object);
    case 'bytes':
      return `"${asBuffer(value as Uint8Array).toString('base64')}"`;
    case 'string':
      return JSON.stringify(value);
    case 'bool':
    case 'int32':
    case 'uint32':
      return String(value as number);
    case 'enum': {
      const name = enumNameOf(typeName, value as number);
      return name === undefined ? String(value as number) : `"${name}"`;
    }
    default:
      return `"${String(value as bigint)}"`;
  }
}

// ---- in

/** Reads one message. @throws JsonError with protobuf's own words, as far as they are stable. */
export function messageFromJson(typeName: string, node: JsonNode, text: string): Message {
  if (node.kind !== 'object') throw unexpectedToken(node, text);
  const { byName } = shapeOf(typeName);
  const out: Message = {};
  const seen = new Set<FieldRow>();
  const oneofs = new Set<string>();
  for (const { name, at, value } of node.entries) {
    const row = byName.get(name);
    if (row === undefined) continue;
    if (seen.has(row)) throw new JsonError(`proto: ${placeOf(text, at)}: duplicate field ${JSON.stringify(name)}`);
    seen.add(row);
    // null stands for a field that is not there.
    if (value.kind === 'null') continue;
    const oneof = row[6];
    if (oneof !== '') {
      if (oneofs.has(oneof))
        throw new JsonError(
          `proto: ${placeOf(text, at)}: error parsing ${JSON.stringify(name)}, oneof ${typeName}.${oneof} is already set`,
        );
      oneofs.add(oneof);
    }
    if (row[5] === 1) {
      if (value.kind !== 'array') throw unexpectedToken(value, text);
      out[row[2]] = value.items.map((item) => valueFromJson(row, item, text)).filter((v) => v !== undefined);
    } else {
      const v = valueFromJson(row, value, text);
      if (v !== undefined) out[row[2]] = v;
    }
  }
  return out;
}

function tokenOf(node: JsonNode, text: string): string {
  switch (node.kind) {
    case 'array':
      return '[';
    case 'object':
      return '{';
    case 'string':
    case 'number':
      return node.raw;
    default:
      return text.slice(node.at, node.at + node.kind.length);
  }
}

function invalid([, wireName, , kind]: FieldRow, node: JsonNode, text: string): JsonError {
  const type = kind === 'bigInt64' ? 'int64' : kind === 'bigUint64' ? 'uint64' : kind;
  return new JsonError(`proto: ${placeOf(text, node.at)}: invalid value for ${type} field ${jsonName(wireName)}: ${tokenOf(node, text)}`);
}

function unexpectedToken(node: JsonNode, text: string): JsonError {
  return new JsonError(`proto: syntax error ${placeOf(text, node.at)}: unexpected token ${tokenOf(node, text)}`);
}

/** UTF-8 has no such thing. */
const loneSurrogate = /\p{Cs}/u;

/** Undefined: an enum name that the schema has not. */
function valueFromJson(row: FieldRow, node: JsonNode, text: string): unknown {
  const [, , , kind, typeName] = row;
  if (node.kind === 'null') throw new JsonError(`proto: syntax error ${placeOf(text, node.at)}: unexpected token null`);
  switch (kind) {
    case 'message':
      return messageFromJson(typeName, node, text);
    case 'bool':
      if (node.kind === 'true' || node.kind === 'false') return node.kind === 'true';
      throw invalid(row, node, text);
    case 'string':
      if (node.kind !== 'string' || loneSurrogate.test(node.value)) throw invalid(row, node, text);
      return node.value;
    case 'bytes': {
      const bytes = node.kind === 'string' ? fromBase64(node.value) : undefined;
      if (bytes === undefined) throw invalid(row, node, text);
      return bytes;
    }
    case 'enum': {
      if (node.kind === 'string') return enumValues[typeName]?.[node.value];
      const n = wholeNumber(node);
      if (node.kind !== 'number' || n === undefined || n < -(2n ** 31n) || n >= 2n ** 31n) throw invalid(row, node, text);
      return Number(n);
    }
    default: {
      const n = wholeNumber(node);
      const [min, max] = ranges[kind];
      if (n === undefined || n < min || n > max) throw invalid(row, node, text);
      if (kind === 'bigInt64' || kind === 'bigUint64') return n;
      // Counters saturate, as when they come by protobuf.
      return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(n)));
    }
  }
}

const ranges = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  bigInt64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  bigUint64: [0n, 2n ** 64n - 1n],
} as const;

const numberText = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;
/** No 64-bit number has more digits; larger exponents would only make work. */
const digitsMax = 40;

/** A number, or the same in a string; fractions and exponents are fine when the value is whole. */
function wholeNumber(node: JsonNode): bigint | undefined {
  const text = node.kind === 'number' ? node.raw : node.kind === 'string' ? node.value : '';
  const m = numberText.exec(text);
  if (m === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = m;
  const exponent = Number(exponentText);
  let digits = whole + fraction;
  const point = whole.length + exponent;
  if (/^0*$/.test(digits)) return 0n;
  if (point > digitsMax) return undefined;
  if (point < digits.length) {
    if (!/^0*$/.test(digits.slice(Math.max(point, 0)))) return undefined;
    digits = digits.slice(0, Math.max(point, 0));
  } else digits = digits.padEnd(point, '0');
  return BigInt(`${sign}${digits === '' ? '0' : digits}`);
}

/** Standard or URL-safe alphabet, padded or not. */
function fromBase64(text: string): Uint8Array | undefined {
  const m = /^([A-Za-z0-9+/]*|[A-Za-z0-9_-]*)(={0,2})$/.exec(text);
  if (m === null) return undefined;
  const [, digits = '', padding = ''] = m;
  const rest = digits.length % 4;
  if (rest === 1 || (padding !== '' && (rest + padding.length) % 4 !== 0)) return undefined;
  return Buffer.from(digits, 'base64');
}
