// Generates src/api/gen from proto/: one file of codecs per package, the method table, and the field tables for JSON.
// `node scripts/generate-api.mjs --check` writes nothing and fails when the files on disk differ.
import { readFileSync, readdirSync, writeFileSync, mkdirSync, existsSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
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
/** Types of this package are declared by the raft room; only their codecs are generated. */
const handTyped = new Set(['raftpb']);

const idNames = new Set(['ID', 'lease', 'member_id', 'cluster_id', 'memberID', 'member_ID', 'NodeID', 'ClusterID', 'targetID', 'leader']);
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
const pkgOf = (t) => full(t).split('.')[0];
const localName = (t) =>
  full(t)
    .split('.')
    .slice(1)
    .join('_')
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
  })[k];
const nonZero = (k, v) =>
  k === 'bytes' || k === 'string'
    ? `${v} !== undefined && ${v}.length !== 0`
    : k === 'bool'
      ? `${v} === true`
      : `${v} !== undefined && ${v} !== ${zero[k]}`;
const wireType = (k) => (k === 'message' || k === 'string' || k === 'bytes' ? 2 : 0);

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
  for (const p of packages) {
    const values = valueImports.get(p) ?? new Set();
    const types = [...(imports.get(p) ?? [])].filter((n) => !values.has(n));
    const names = [...[...values].sort(), ...types.sort().map((n) => `type ${n}`)];
    if (names.length) head += `import { ${names.join(', ')} } from './${p}.ts';\n`;
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
  return `${head}\n${body}`;
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
      body += `export const ${svc.name} = {\n`;
      for (const m of svc.methodsArray) {
        m.resolve();
        const use = (t) => {
          (used.get(pkgOf(t)) ?? used.set(pkgOf(t), new Set()).get(pkgOf(t))).add(localName(t));
          return localName(t);
        };
        const key = m.name[0].toLowerCase() + m.name.slice(1);
        const q = use(m.resolvedRequestType);
        const s = use(m.resolvedResponseType);
        const http = m.options?.['(google.api.http).post'] ?? '';
        body += `  ${key}: { path: '/${full(svc)}/${m.name}', service: '${full(svc)}', name: '${m.name}', request: ${q}, response: ${s}, requestStream: ${!!m.requestStream}, responseStream: ${!!m.responseStream}, httpPath: '${http}' } as MethodDef<${q}, ${s}>,\n`;
        all.push(`${svc.name}.${key}`);
        paths.push(`/${full(svc)}/${m.name}`);
      }
      body += '} as const;\n\n';
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

async function main() {
  const root = loadRoot();
  const config = (await prettier.resolveConfig(join(outDir, 'x.ts'))) ?? {};
  const files = { 'methods.ts': emitMethods(root), 'schema.ts': emitSchema(root) };
  for (const p of packages) files[`${p}.ts`] = emitPackage(root, p);
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
