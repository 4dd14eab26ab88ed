/**
 * gRPC server reflection, v1 and v1alpha: what a client without .proto files asks for (grpcurl, Postman). Answers and errors as grpc-go's.
 */
import { fileDescriptors } from '../../api/gen/descriptors.ts';
import { ServerReflection, type ServerReflectionRequest, type ServerReflectionResponse } from '../../api/gen/grpc-reflection.ts';
import type { MethodDef } from '../../api/gen/methods.ts';
import { Reader, type Init } from '../../api/proto-io.ts';
import { Code } from '../../api/status.ts';
import type { HandlerTable, StreamCall } from '../../wire/call.ts';

type ReflectionCall = StreamCall<ServerReflectionRequest, ServerReflectionResponse>;
type Answer = Init<ServerReflectionResponse>;

const v1 = ServerReflection.serverReflectionInfo;
const v1alpha: typeof v1 = { ...v1, path: v1.path.replace('.v1.', '.v1alpha.'), service: v1.service.replace('.v1.', '.v1alpha.') };

export function registerReflection(table: HandlerTable): void {
  let schema: Schema | undefined;
  const open = (call: ReflectionCall): void => {
    schema ??= new Schema(table);
    serve(call, schema);
  };
  table.addStream(v1, open);
  table.addStream(v1alpha, open);
}

function serve(call: ReflectionCall, schema: Schema): void {
  /** Each file goes over a stream once. */
  const sent = new Set<string>();
  call.onDrain = () => call.resume();
  call.onHalfClose = () => call.end();
  call.onMessage = (request) => {
    const answer = answerTo(request, schema, sent);
    if (answer === undefined) {
      call.fail({ code: Code.InvalidArgument, message: 'invalid MessageRequest: <nil>' });
      return;
    }
    const full: ServerReflectionResponse = { ...emptyAnswer, validHost: request.host, originalRequest: request, ...(answer as object) };
    // A reader that lags is not sent more than it asked for.
    if (!call.send(full)) call.pause();
  };
}

const emptyAnswer: ServerReflectionResponse = {
  validHost: '',
  originalRequest: undefined,
  fileDescriptorResponse: undefined,
  allExtensionNumbersResponse: undefined,
  listServicesResponse: undefined,
  errorResponse: undefined,
};
const notFound: Answer = { errorResponse: { errorCode: Code.NotFound, errorMessage: 'proto: not found' } };

function answerTo(r: ServerReflectionRequest, schema: Schema, sent: Set<string>): Answer | undefined {
  if (r.fileByFilename !== undefined) return filesFrom(r.fileByFilename, schema, sent);
  if (r.fileContainingSymbol !== undefined) return filesFrom(schema.fileOf(r.fileContainingSymbol), schema, sent);
  // Nothing here has extensions.
  if (r.fileContainingExtension !== undefined) return notFound;
  if (r.allExtensionNumbersOfType !== undefined)
    return schema.isMessage(r.allExtensionNumbersOfType)
      ? { allExtensionNumbersResponse: { baseTypeName: r.allExtensionNumbersOfType, extensionNumber: [] } }
      : notFound;
  if (r.listServices !== undefined) return { listServicesResponse: { service: schema.services.map((name) => ({ name })) } };
  return undefined;
}

/** The file and all that it imports, but for what went before. */
function filesFrom(name: string | undefined, schema: Schema, sent: Set<string>): Answer {
  if (name === undefined || !schema.has(name)) return notFound;
  const out: Uint8Array[] = [];
  const queue = [name];
  for (const at of queue) {
    // The one asked for goes again when it is asked for again.
    if (out.length > 0 && sent.has(at)) continue;
    sent.add(at);
    out.push(schema.bytesOf(at));
    queue.push(...schema.importsOf(at));
  }
  return { fileDescriptorResponse: { fileDescriptorProto: out } };
}

/** What the descriptors define, read from them once. */
class Schema {
  readonly services: readonly string[];
  readonly #files = new Map<string, { readonly bytes: Uint8Array; readonly imports: readonly string[] }>();
  /** Full name of a message, field, enum, value, service or method → its file. */
  readonly #symbols = new Map<string, string>();
  readonly #messages = new Set<string>();

  constructor(table: HandlerTable) {
    const methods: MethodDef[] = [...table.unary.values(), ...table.streams.values()].map((e) => e.method);
    this.services = [...new Set(methods.map((m) => m.service))].sort();
    for (const [name, text] of Object.entries(fileDescriptors)) {
      const bytes = Buffer.from(text, 'base64');
      const file = fieldsOf(bytes);
      const scope = textOf(file, 2);
      this.#files.set(name, { bytes, imports: (file.get(3) ?? []).map((b) => Buffer.from(b).toString()) });
      for (const message of file.get(4) ?? []) this.#message(message, scope, name);
      for (const type of file.get(5) ?? []) this.#enum(type, scope, name);
      for (const service of file.get(6) ?? []) {
        const fields = fieldsOf(service);
        const full = this.#symbol(scope, textOf(fields, 1), name);
        for (const method of fields.get(2) ?? []) this.#symbol(full, textOf(fieldsOf(method), 1), name);
      }
    }
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  bytesOf(file: string): Uint8Array {
    return this.#files.get(file)?.bytes ?? new Uint8Array(0);
  }

  importsOf(file: string): readonly string[] {
    return this.#files.get(file)?.imports ?? [];
  }

  fileOf(symbol: string): string | undefined {
    return this.#symbols.get(symbol);
  }

  isMessage(name: string): boolean {
    return this.#messages.has(name);
  }

  #symbol(scope: string, name: string, file: string): string {
    const full = `${scope}.${name}`;
    this.#symbols.set(full, file);
    return full;
  }

  /** DescriptorProto: name 1, field 2, nested_type 3, enum_type 4, oneof_decl 8. */
  #message(bytes: Uint8Array, scope: string, file: string): void {
    const fields = fieldsOf(bytes);
    const full = this.#symbol(scope, textOf(fields, 1), file);
    this.#messages.add(full);
    for (const part of [...(fields.get(2) ?? []), ...(fields.get(8) ?? [])]) this.#symbol(full, textOf(fieldsOf(part), 1), file);
    for (const nested of fields.get(3) ?? []) this.#message(nested, full, file);
    for (const type of fields.get(4) ?? []) this.#enum(type, full, file);
  }

  /** EnumDescriptorProto: name 1, value 2. Values are named beside their enum, as in C. */
  #enum(bytes: Uint8Array, scope: string, file: string): void {
    const fields = fieldsOf(bytes);
    this.#symbol(scope, textOf(fields, 1), file);
    for (const value of fields.get(2) ?? []) this.#symbol(scope, textOf(fieldsOf(value), 1), file);
  }
}

/** The length-delimited fields of a message, by number. */
function fieldsOf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const out = new Map<number, Uint8Array[]>();
  const r = new Reader(bytes);
  while (r.pos < bytes.length) {
    const tag = r.varint32();
    if ((tag & 7) !== 2) {
      r.skip(tag);
      continue;
    }
    const field = out.get(tag >>> 3);
    if (field === undefined) out.set(tag >>> 3, [r.bytes()]);
    else field.push(r.bytes());
  }
  return out;
}

function textOf(fields: ReadonlyMap<number, readonly Uint8Array[]>, field: number): string {
  return Buffer.from(fields.get(field)?.[0] ?? []).toString();
}
