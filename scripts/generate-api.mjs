// Generates src/api/gen from proto/: one file of codecs per package, the method table, and the field tables for JSON.
// `node scripts/generate-api.mjs --check` writes nothing and fails when the files on disk differ.
import { readFileSync, readdirSync, writeFileSync, mkdirSync, existsSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import prettier from 'prettier';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');
const outDir = join(top, 'src/api/gen');

/** Every .proto of the project in one protobufjs root. */
export function loadRoot() {
  const root = new protobuf.Root();
  for (const file of readdirSync(join(top, 'proto'), { recursive: true }).sort()) {
    if (!file.endsWith('.proto') || file.startsWith('google')) continue;
    protobuf.parse(readFileSync(join(top, 'proto', file), 'utf8'), root, { keepCase: true, alternateCommentMode: false });
  }
  root.resolveAll();
  return root;
}

const packages = ['mvccpb', 'authpb', 'membershippb', 'etcdserverpb', 'leasepb', 'v3lockpb', 'v3electionpb', 'snappb', 'walpb', 'raftpb'];
/** Packages that are not etcd's: codecs and methods in a file each; no JSON, and not in the method table. By package, the file's name. */
const sideFiles = new Map([
  ['opentelemetry.proto.common.v1', 'otlp-common'],
  ['opentelemetry.proto.resource.v1', 'otlp-resource'],
  ['opentelemetry.proto.trace.v1', 'otlp-trace'],
  ['opentelemetry.proto.collector.trace.v1', 'otlp-collector'],
  ['grpc.reflection.v1', 'grpc-reflection'],
]);
const fileOf = (pkg) => sideFiles.get(pkg) ?? pkg;
/** Types of this package are declared by the raft room; only their codecs are generated. */
const handTyped = new Set(['raftpb']);

const idNames = new Set([
  'ID',
  'lease',
  'member_id',
  'cluster_id',
  'memberID',
  'member_ID',
  'NodeID',
  'ClusterID',
  'targetID',
  'leader',
  'int_value',
]);
const raftIdNames = new Set(['to', 'from', 'vote', 'node_id', 'id', 'voters', 'learners', 'voters_outgoing', 'learners_next']);
const isId = (f) => (f.parent.fullName.startsWith('.raftpb') ? raftIdNames.has(f.name) : idNames.has(f.name));
/** proto2 fields that are written even when zero, as etcd's own members and files have them. */
const always = new Set([
  'raftpb.Entry.Term',
  'raftpb.Entry.Index',
  'raftpb.HardState.term',
  'raftpb.HardState.vote',
  'raftpb.HardState.commit',
  'raftpb.Message.type',
  'raftpb.Message.to',
  'raftpb.Message.from',
  'raftpb.Message.term',
  'raftpb.SnapshotMetadata.index',
  'raftpb.SnapshotMetadata.term',
  'raftpb.ConfChange.type',
  'raftpb.ConfChange.node_id',
  'raftpb.ConfChangeSingle.type',
  'raftpb.ConfChangeSingle.node_id',
  'raftpb.ConfChangeV2.transition',
  'raftpb.ConfState.auto_leave',
  'walpb.Record.type',
  'walpb.Record.crc',
  'walpb.Snapshot.index',
  'walpb.Snapshot.term',
  'snappb.snapshot.crc',
  'etcdserverpb.Metadata.NodeID',
  'etcdserverpb.Metadata.ClusterID',
]);

const camel = (s) => s.replace(/_+([a-zA-Z0-9])/g, (_, c) => c.toUpperCase());
const full = (t) => t.fullName.slice(1);
const pkgOf = (t) => [...sideFiles.keys()].find((p) => full(t).startsWith(`${p}.`)) ?? full(t).split('.')[0];
const localName = (t) =>
  full(t)
    .slice(pkgOf(t).length + 1)
    .replaceAll('.', '_')
    .replace(/^snapshot$/, 'SnapshotFile');

function kindOf(f) {
  if (f.resolvedType instanceof protobuf.Enum) return 'enum';
  if (f.resolvedType) return 'message';
  if (f.type === 'int64' || f.type === 'uint64') return isId(f) ? (f.type === 'int64' ? 'bigInt64' : 'bigUint64') : f.type;
  return f.type;
}
const tsType = (f, ref) => {
  const k = kindOf(f);
  if (k === 'message' || k === 'enum') return ref(f.resolvedType);
  return {
    bigInt64: 'bigint',
    bigUint64: 'bigint',
    int64: 'number',
    uint64: 'number',
    uint32: 'number',
    int32: 'number',
    bool: 'boolean',
    string: 'string',
    bytes: 'Uint8Array',
    fixed32: 'number',
    fixed64: 'bigint',
  }[k];
};
const zero = {
  enum: '0',
  bigInt64: '0n',
  bigUint64: '0n',
  int64: '0',
  uint64: '0',
  uint32: '0',
  int32: '0',
  bool: 'false',
  string: "''",
  bytes: 'empty',
  fixed32: '0',
  fixed64: '0n',
};
const readCall = {
  enum: 'r.int32()',
  bigInt64: 'r.bigInt64()',
  bigUint64: 'r.bigUint64()',
  int64: 'r.int64()',
  uint64: 'r.uint64()',
  uint32: 'r.varint32()',
  int32: 'r.int32()',
  bool: 'r.bool()',
  string: 'r.string()',
  bytes: 'r.bytes()',
  fixed32: 'r.fixed32()',
  fixed64: 'r.fixed64()',
};
const writeCall = (k, v) =>
  ({
    enum: `w.int64(${v})`,
    bigInt64: `w.bigint64(${v})`,
    bigUint64: `w.bigint64(${v})`,
    int64: `w.int64(${v})`,
    uint64: `w.int64(${v})`,
    uint32: `w.varint32(${v})`,
    int32: `w.int64(${v})`,
    bool: `w.varint32(${v} ? 1 : 0)`,
    string: `w.string(${v})`,
    bytes: `w.bytes(${v})`,
    fixed32: `w.fixed32(${v})`,
    fixed64: `w.fixed64(${v})`,
  })[k];
const nonZero = (k, v) =>
  k === 'bytes' || k === 'string'
    ? `${v} !== undefined && ${v}.length !== 0`
    : k === 'bool'
      ? `${v} === true`
      : `${v} !== undefined && ${v} !== ${zero[k]}`;
const wireType = (k) => (k === 'message' || k === 'string' || k === 'bytes' ? 2 : k === 'fixed64' ? 1 : k === 'fixed32' ? 5 : 0);

function walkTypes(ns, visit) {
  for (const t of ns.nestedArray) {
    visit(t);
    if (t instanceof protobuf.Type) walkTypes(t, visit);
  }
}

function emitPackage(root, pkg) {
  const ns = root.lookup(pkg);
  const imports = new Map();
  const valueImports = new Map();
  const ref = (t) => {
    const p = pkgOf(t);
    if (p !== pkg) (imports.get(p) ?? imports.set(p, new Set()).get(p)).add(localName(t));
    return localName(t);
  };
  const vref = (t) => {
    const p = pkgOf(t);
    if (p !== pkg) (valueImports.get(p) ?? valueImports.set(p, new Set()).get(p)).add(localName(t));
    return localName(t);
  };
  let body = '';
  const raftTypes = new Set();
  walkTypes(ns, (t) => {
    const name = localName(t);
    if (t instanceof protobuf.Enum) {
      if (handTyped.has(pkg)) {
        raftTypes.add(name);
        return;
      }
      body += `export const ${name} = { ${Object.entries(t.values)
        .map(([k, v]) => `${k}: ${v}`)
        .join(', ')} } as const;\n`;
      // Open enum, as in proto3: a peer may send numbers without a name.
      body += `export type ${name} = number;\n\n`;
    } else if (t instanceof protobuf.Type) {
      const fields = t.fieldsArray.slice().sort((a, b) => a.id - b.id);
      for (const f of fields) f.resolve();
      if (handTyped.has(pkg)) raftTypes.add(name);
      else {
        body += `export interface ${name} {\n`;
        for (const f of fields) {
          const ts = tsType(f, ref);
          if (f.repeated) body += `  ${camel(f.name)}: ${ts}[];\n`;
          else if (f.partOf || kindOf(f) === 'message') body += `  ${camel(f.name)}: ${ts} | undefined;\n`;
          else body += `  ${camel(f.name)}: ${ts};\n`;
        }
        body += '}\n';
      }
      const defaults = fields
        .map((f) => `${camel(f.name)}: ${f.repeated ? '[]' : f.partOf || kindOf(f) === 'message' ? 'undefined' : zero[kindOf(f)]}`)
        .join(', ');
      body += `export const ${name}: Codec<${name}> = {\n  typeName: '${full(t)}',\n`;
      body += `  create() { return { ${defaults} }; },\n`;
      body += `  encode(m) { return encodeWith(${name}, m); },\n`;
      body += `  write(m, w) {\n`;
      if (!fields.length) body += '    void m; void w;\n';
      for (const f of fields) {
        const k = kindOf(f);
        const v = `m.${camel(f.name)}`;
        const tag = (f.id << 3) | wireType(k);
        if (f.repeated) {
          const packed = wireType(k) === 0 && !(pkg === 'raftpb');
          if (k === 'message')
            body += `    if (${v} !== undefined) for (const e of ${v}) { w.varint32(${tag}); const mark = w.beginMessage(); ${vref(f.resolvedType)}.write(e, w); w.endMessage(mark); }\n`;
          else if (packed)
            body += `    if (${v} !== undefined && ${v}.length !== 0) { w.varint32(${(f.id << 3) | 2}); const mark = w.beginMessage(); for (const e of ${v}) ${writeCall(k, 'e')}; w.endMessage(mark); }\n`;
          else body += `    if (${v} !== undefined) for (const e of ${v}) { w.varint32(${tag}); ${writeCall(k, 'e')}; }\n`;
        } else if (k === 'message') {
          body += `    if (${v} !== undefined) { w.varint32(${tag}); const mark = w.beginMessage(); ${vref(f.resolvedType)}.write(${v}, w); w.endMessage(mark); }\n`;
        } else if (f.partOf) {
          body += `    if (${v} !== undefined) { w.varint32(${tag}); ${writeCall(k, v)}; }\n`;
        } else if (always.has(full(t) + '.' + f.name)) {
          body += `    w.varint32(${tag}); ${writeCall(k, `(${v} ?? ${zero[k]})`)};\n`;
        } else {
          body += `    if (${nonZero(k, v)}) { w.varint32(${tag}); ${writeCall(k, v)}; }\n`;
        }
      }
      body += `  },\n  decode(b) { return decodeWith(${name}, b); },\n`;
      body += `  read(r, end) {\n    const m = ${name}.create();\n    r.enter();\n    while (r.pos < end) {\n      const tag = r.varint32();\n      switch (tag) {\n`;
      for (const f of fields) {
        const k = kindOf(f);
        const v = `m.${camel(f.name)}`;
        const tag = (f.id << 3) | wireType(k);
        const oneofClear = f.partOf
          ? f.partOf.fieldsArray
              .filter((o) => o !== f)
              .map((o) => `m.${camel(o.name)} = undefined;`)
              .join(' ')
          : '';
        body += `        case ${tag}: `;
        if (k === 'message') {
          const call = `${vref(f.resolvedType)}.read(r, r.messageEnd())`;
          // A singular message met twice is merged by other decoders; taking the last one is enough here, as no etcd client splits a field.
          body += f.repeated ? `${v}.push(${call}); break;\n` : `${oneofClear} ${v} = ${call}; break;\n`;
        } else if (f.repeated) {
          body += `${v}.push(${readCall[k]}); break;\n`;
          if (wireType(k) === 0)
            body += `        case ${(f.id << 3) | 2}: { const stop = r.messageEnd(); while (r.pos < stop) ${v}.push(${readCall[k]}); break; }\n`;
        } else body += `${oneofClear} ${v} = ${readCall[k]}; break;\n`;
      }
      body += `        default: r.skip(tag);\n      }\n    }\n    r.leave(r.pos, end);\n    return m;\n  },\n};\n\n`;
    }
  });
  let head = '// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.\n';
  head += `import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';\n`;
  for (const p of [...packages, ...sideFiles.keys()]) {
    const values = valueImports.get(p) ?? new Set();
    const types = [...(imports.get(p) ?? [])].filter((n) => !values.has(n));
    const names = [...[...values].sort(), ...types.sort().map((n) => `type ${n}`)];
    if (names.length) head += `import { ${names.join(', ')} } from './${fileOf(p)}.ts';\n`;
  }
  if (raftTypes.size) {
    const types = [...raftTypes].filter((n) => new RegExp(`\\b${n}\\b`).test(body));
    head += `import type { ${types
      .map((n) => `${n} as ${n}`)
      .join(', ')
      .replace(/(\w+) as \1/g, '$1')} } from '../../raft/types.ts';\n`;
    // A codec and its type share a name; the raft room's types are re-exported under the codec's.
    body = body.replace(/export const (\w+): Codec<\1>/g, 'export const $1Codec: Codec<$1>');
    body = body.replace(/\b(\w+)\.(write|read|create)\(/g, (m0, n, op) => (raftTypes.has(n) ? `${n}Codec.${op}(` : m0));
    body = body.replace(/(encodeWith|decodeWith)\((\w+),/g, '$1($2Codec,');
  }
  // Other packages that use raft types name the codec likewise.
  if (!raftTypes.size && head.includes("'./raftpb.ts'")) {
    head = head.replace(/import \{ (.*) \} from '.\/raftpb.ts';/, (_, l) => {
      const names = l.split(', ').map((n) => n.replace('type ', ''));
      body = body.replace(new RegExp(`\\b(${names.join('|')})\\.(write|read)\\(`, 'g'), '$1Codec.$2(');
      return `import { ${names.map((n) => n + 'Codec').join(', ')} } from './raftpb.ts';\nimport type { ${names.join(', ')} } from '../../raft/types.ts';`;
    });
  }
  if (/\bempty\b/.test(body)) head += '\nconst empty = new Uint8Array(0);\n';
  const services = sideFiles.has(pkg) ? ns.nestedArray.filter((t) => t instanceof protobuf.Service) : [];
  if (services.length > 0) head += "import type { MethodDef } from './methods.ts';\n";
  for (const service of services) body += emitService(service, localName);
  return `${head}\n${body}`;
}

/** `use` gives the name of a message's codec. */
function emitService(service, use) {
  let out = `export const ${service.name} = {\n`;
  for (const m of service.methodsArray) {
    m.resolve();
    const key = m.name[0].toLowerCase() + m.name.slice(1);
    const q = use(m.resolvedRequestType);
    const s = use(m.resolvedResponseType);
    const http = m.options?.['(google.api.http).post'] ?? '';
    out += `  ${key}: { path: '/${full(service)}/${m.name}', service: '${full(service)}', name: '${m.name}', request: ${q}, response: ${s}, requestStream: ${!!m.requestStream}, responseStream: ${!!m.responseStream}, httpPath: '${http}' } as MethodDef<${q}, ${s}>,\n`;
  }
  return `${out}} as const;\n\n`;
}

function emitMethods(root) {
  let out = '// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.\n';
  out += "import type { Codec } from '../proto-io.ts';\n";
  const used = new Map();
  let body = `/** One RPC: its gRPC path, codecs, which sides stream, and its JSON gateway path ('' where it has none). */
export interface MethodDef<Req = unknown, Res = unknown> {
  readonly path: string;
  readonly service: string;
  readonly name: string;
  readonly request: Codec<Req>;
  readonly response: Codec<Res>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly httpPath: string;
}\n\n`;
  const all = [];
  const paths = [];
  for (const pkg of packages)
    for (const svc of root.lookup(pkg).nestedArray) {
      if (!(svc instanceof protobuf.Service)) continue;
      body += emitService(svc, (t) => {
        (used.get(pkgOf(t)) ?? used.set(pkgOf(t), new Set()).get(pkgOf(t))).add(localName(t));
        return localName(t);
      });
      for (const m of svc.methodsArray) {
        all.push(`${svc.name}.${m.name[0].toLowerCase()}${m.name.slice(1)}`);
        paths.push(`/${full(svc)}/${m.name}`);
      }
    }
  for (const [p, names] of used) out += `import { ${[...names].sort().join(', ')} } from './${p}.ts';\n`;
  body += `/** Path of every method. A table keyed by it is complete, or does not compile. */\nexport type MethodPath = ${paths.map((p) => `'${p}'`).join(' | ')};\n\n`;
  body += `/** Every method of every service. */\nexport const methods: readonly MethodDef[] = [${all.map((a) => `${a} as MethodDef`).join(', ')}];\n`;
  return `${out}\n${body}`;
}

function emitSchema(root) {
  let out = `// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run \`npm run generate\`.
/** A field for JSON and text output: [number, wire name, TypeScript name, kind, type name or '', 1 when repeated, oneof name or '']. */
export type FieldRow = readonly [number, string, string, FieldKind, string, 0 | 1, string];
export type FieldKind = 'enum' | 'message' | 'bigInt64' | 'bigUint64' | 'int64' | 'uint64' | 'uint32' | 'int32' | 'bool' | 'string' | 'bytes';
`;
  const msgs = [];
  const enums = [];
  for (const pkg of packages)
    walkTypes(root.lookup(pkg), (t) => {
      if (t instanceof protobuf.Enum)
        enums.push(
          `'${full(t)}': { ${Object.entries(t.values)
            .map(([k, v]) => `${k}: ${v}`)
            .join(', ')} }`,
        );
      else if (t instanceof protobuf.Type)
        msgs.push(
          `'${full(t)}': [${t.fieldsArray
            .slice()
            .sort((a, b) => a.id - b.id)
            .map(
              (f) =>
                `[${f.id}, '${f.name}', '${camel(f.name)}', '${kindOf(f)}', '${f.resolvedType ? full(f.resolvedType) : ''}', ${f.repeated ? 1 : 0}, '${f.partOf?.name ?? ''}']`,
            )
            .join(', ')}]`,
        );
    });
  out += `\nexport const messageFields: Readonly<Record<string, readonly FieldRow[]>> = {\n${msgs.join(',\n')}\n};\n`;
  out += `\nexport const enumValues: Readonly<Record<string, Readonly<Record<string, number>>>> = {\n${enums.join(',\n')}\n};\n`;
  return out;
}

/** Files that reflection shows: those of the services that a member has, and what they import. */
const shownFiles = [
  'authpb/auth.proto',
  'etcdserverpb/rpc.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'mvccpb/kv.proto',
  'v3electionpb/election.proto',
  'v3lockpb/lock.proto',
];

/** Each file as a FileDescriptorProto. Options are left out: they would drag in the files that define them. */
function emitDescriptors() {
  const root = new protobuf.Root();
  const files = [];
  const add = (name, text) => {
    const before = new Set();
    const visit = (ns, fn) => {
      for (const t of ns.nestedArray ?? []) {
        fn(t);
        if (!(t instanceof protobuf.Type) && !(t instanceof protobuf.Enum)) visit(t, fn);
      }
    };
    visit(root, (t) => before.add(t));
    const parsed = protobuf.parse(text, root, { keepCase: true, alternateCommentMode: false });
    const added = [];
    visit(root, (t) => {
      const known = t instanceof protobuf.Type || t instanceof protobuf.Enum || t instanceof protobuf.Service;
      if (known && !before.has(t)) added.push(t);
    });
    files.push({ name, package: parsed.package, imports: (parsed.imports ?? []).filter((f) => !f.startsWith('google/')), added });
  };
  for (const name of shownFiles) {
    const text = readFileSync(join(top, 'proto', name), 'utf8');
    add(name, text);
    // The older name of the same service.
    if (name.startsWith('grpc/reflection/'))
      add(name.replace('/v1/', '/v1alpha/'), text.replaceAll('grpc.reflection.v1', 'grpc.reflection.v1alpha'));
  }
  root.resolveAll();
  const rows = files.map((f) => {
    const is = (kind) => f.added.filter((t) => t instanceof kind);
    // Names are made full; an entry of a map gets the name that protoc gives it.
    const fullNames = (message, type) => {
      delete message.options;
      for (const field of message.field) {
        const source = type.fields[field.name];
        const entry = message.nestedType.find((n) => source.map && n.name === field.typeName);
        if (entry !== undefined) {
          entry.name = `${entry.name}Entry`;
          field.typeName = `${type.fullName}.${entry.name}`;
          for (const part of entry.field) if (part.name === 'value' && source.resolvedType) part.typeName = source.resolvedType.fullName;
        } else if (source.resolvedType) field.typeName = source.resolvedType.fullName;
        delete field.options;
      }
      for (const nested of message.nestedType) if (type.nested?.[nested.name]) fullNames(nested, type.nested[nested.name]);
      return message;
    };
    const message = descriptor.FileDescriptorProto.create({
      name: f.name,
      package: f.package,
      dependency: f.imports,
      messageType: is(protobuf.Type).map((t) => fullNames(t.toDescriptor('proto3'), t)),
      enumType: is(protobuf.Enum).map((t) => t.toDescriptor('proto3')),
      service: is(protobuf.Service).map((s) => {
        const out = s.toDescriptor('proto3');
        for (const m of out.method) delete m.options;
        return out;
      }),
      syntax: 'proto3',
    });
    return `'${f.name}': '${Buffer.from(descriptor.FileDescriptorProto.encode(message).finish()).toString('base64')}'`;
  });
  return `// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run \`npm run generate\`.
/** FileDescriptorProto of each .proto that reflection shows, by the file's name, in base64. */
export const fileDescriptors: Readonly<Record<string, string>> = {\n${rows.join(',\n')}\n};\n`;
}

async function main() {
  const root = loadRoot();
  const config = (await prettier.resolveConfig(join(outDir, 'x.ts'))) ?? {};
  const files = { 'methods.ts': emitMethods(root), 'schema.ts': emitSchema(root), 'descriptors.ts': emitDescriptors() };
  for (const p of [...packages, ...sideFiles.keys()]) files[`${fileOf(p)}.ts`] = emitPackage(root, p);
  let stale = 0;
  mkdirSync(outDir, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const formatted = await prettier.format(text, { ...config, parser: 'typescript' });
    const path = join(outDir, name);
    const old = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (old === formatted) continue;
    if (process.argv.includes('--check')) {
      console.error(`${name} differs from what proto/ gives; run npm run generate`);
      stale++;
    } else writeFileSync(path, formatted);
  }
  process.exitCode = stale ? 1 : 0;
}
if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
