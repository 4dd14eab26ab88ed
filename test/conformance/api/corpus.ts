// The recorded scenarios: their types, and the way between their JSON and protobuf messages. The schema is the recorded one, read by
// protobufjs, so that nothing of the code under test takes part in encoding and decoding.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export type Variables = Map<string, Json>;

export interface Step {
  readonly [key: string]: Json;
}

export interface Scenario {
  readonly name: string;
  readonly args?: string[];
  readonly leftovers?: boolean;
  readonly steps: Step[];
}

export interface Area {
  readonly area: string;
  readonly about: string;
  readonly scenarios: Scenario[];
}

const dataDir = join(import.meta.dirname, '../../data');

export function loadArea(name: string): Area {
  return JSON.parse(readFileSync(join(dataDir, 'api', `${name}.json`), 'utf8')) as Area;
}

const healthSchema = {
  nested: {
    Health: {
      methods: {
        Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse' },
        Watch: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse', responseStream: true },
      },
    },
    HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
    HealthCheckResponse: {
      fields: { status: { type: 'ServingStatus', id: 1 } },
      nested: { ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } } },
    },
  },
};

const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(join(dataDir, 'wire/etcd-3.7.1.json'), 'utf8')) as protobuf.INamespace);
root.define('grpc.health.v1', healthSchema.nested as unknown as Record<string, protobuf.AnyNestedObject>);
root.resolveAll();

export interface Method {
  readonly path: string;
  readonly request: protobuf.Type;
  readonly response: protobuf.Type;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** `package.Service/Method`; undefined when the schema has no such method. */
export function findMethod(call: string): Method | undefined {
  const [serviceName = '', name = ''] = call.split('/');
  const service = root.lookup(serviceName);
  if (!(service instanceof protobuf.Service)) return undefined;
  const method = service.methods[name];
  if (method === undefined) return undefined;
  method.resolve();
  return {
    path: `/${call}`,
    request: method.resolvedRequestType!,
    response: method.resolvedResponseType!,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
  };
}

export const isObject = (v: Json | undefined): v is JsonObject => typeof v === 'object' && v !== null && !Array.isArray(v);

/** Puts variables in the place of `$name`, at any depth. */
export function substitute(v: Json, variables: Variables): Json {
  if (typeof v === 'string' && v.length > 1 && v.startsWith('$')) {
    const value = variables.get(v.slice(1));
    if (value === undefined) throw new Error(`variable ${v} is not bound`);
    return value;
  }
  if (Array.isArray(v)) return v.map((x) => substitute(x, variables));
  if (isObject(v) && !('utf8' in v)) return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, substitute(x, variables)]));
  return v;
}

export function bytesOf(v: Json): Buffer {
  if (isObject(v) && typeof v['b64'] === 'string') return Buffer.from(v['b64'], 'base64');
  return Buffer.from(textOf(v), 'utf8');
}

export function textOf(v: Json): string {
  if (isObject(v)) {
    if (typeof v['utf8'] === 'string') return v['utf8'];
    if (typeof v['repeat'] === 'string') return v['repeat'].repeat(Number(v['times']));
    if (typeof v['b64'] === 'string') return Buffer.from(v['b64'], 'base64').toString('utf8');
  }
  return String(v as string | number | boolean);
}

const is64 = (type: string): boolean => /^(s?fixed|[su]?int)64$/.test(type);

export function encodeMessage(type: protobuf.Type, json: Json | undefined, variables: Variables): Buffer {
  if (isObject(json) && typeof json['rawB64'] === 'string') return Buffer.from(json['rawB64'], 'base64');
  const plain = toPlain(type, substitute(json ?? {}, variables) as JsonObject);
  return Buffer.from(type.encode(type.fromObject(plain)).finish());
}

function toPlain(type: protobuf.Type, json: JsonObject): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, v] of Object.entries(json)) {
    const field = type.fields[name];
    if (field === undefined) throw new Error(`${type.fullName} has no field ${name}`);
    field.resolve();
    out[name] = field.repeated ? (v as Json[]).map((x) => fieldIn(field, x)) : fieldIn(field, v);
  }
  return out;
}

function fieldIn(field: protobuf.Field, v: Json): unknown {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) return toPlain(resolvedType, v as JsonObject);
  if (resolvedType instanceof protobuf.Enum) return v;
  if (field.type === 'bytes') return bytesOf(v);
  if (field.type === 'string') return textOf(v);
  // fromObject takes decimal text for 64-bit fields.
  if (is64(field.type)) return String(v as string);
  return v;
}

/** A message in the corpus's form: defaults left out, 64-bit numbers as strings, bytes as text where they are. */
export function decodeMessage(type: protobuf.Type, body: Uint8Array): JsonObject {
  return fromMessage(type, type.decode(body) as unknown as Record<string, unknown>);
}

function fromMessage(type: protobuf.Type, message: Record<string, unknown>): JsonObject {
  const out: JsonObject = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    const v = Object.hasOwn(message, field.name) ? message[field.name] : undefined;
    if (v === undefined || v === null) continue;
    if (field.repeated) {
      const list = v as unknown[];
      if (list.length > 0) out[field.name] = list.map((x) => fieldOut(field, x));
    } else if (!isDefault(field, v)) out[field.name] = fieldOut(field, v);
  }
  return inCanonicalOrder(type, out);
}

function fieldOut(field: protobuf.Field, v: unknown): Json {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) return fromMessage(resolvedType, v as Record<string, unknown>);
  if (resolvedType instanceof protobuf.Enum) return resolvedType.valuesById[v as number] ?? (v as number);
  if (field.type === 'bytes') return bytesToJson(Buffer.from(v as Uint8Array));
  if (field.type === 'string') return plain(v as string) ? compressed(v as string) : { utf8: v as string };
  if (is64(field.type)) return String(v as object);
  return v as Json;
}

function isDefault(field: protobuf.Field, v: unknown): boolean {
  if (field.resolvedType instanceof protobuf.Type) return false;
  // A set member of a oneof is told even when it is zero only if the recording tells it; recordings leave defaults out.
  if (field.type === 'bytes' || field.type === 'string') return (v as { length: number }).length === 0;
  return String(v as object) === '0' || v === false;
}

export function bytesToJson(b: Buffer): Json {
  const text = b.toString('utf8');
  return plain(text) && Buffer.from(text, 'utf8').equals(b) ? compressed(text) : { b64: b.toString('base64') };
}

/** Printable, and not to be mistaken for a marker. */
const plain = (s: string): boolean => /^[\P{C}\n\t]*$/u.test(s) && !/^[$*~]/.test(s);
const compressed = (s: string): Json =>
  s.length > 64 && s === s.charAt(0).repeat(s.length) ? { repeat: s.charAt(0), times: s.length } : s;

/** Lists without a promised order. */
function inCanonicalOrder(type: protobuf.Type, o: JsonObject): JsonObject {
  const sortBy = (list: Json | undefined, key: (v: Json) => string): void => {
    if (Array.isArray(list)) list.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  };
  if (type.name === 'LeaseTimeToLiveResponse') sortBy(o['keys'], textOf);
  if (/^Member\w+Response$/.test(type.name))
    sortBy(o['members'], (m) => `${String((m as JsonObject)['name'] ?? '')}|${String((m as JsonObject)['peerURLs'])}`);
  return o;
}
