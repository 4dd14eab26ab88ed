// Our .proto files say the same as the recorded wire schema: messages, numbers, types, enums, methods, HTTP paths.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { loadRoot } from '../../../scripts/generate-api.mjs';

const recorded = protobuf.Root.fromJSON(JSON.parse(readFileSync(join(import.meta.dirname, '../../data/wire/etcd-3.7.1.json'), 'utf8')));
recorded.resolveAll();
const ours: protobuf.Root = loadRoot();

function describeAll(root: protobuf.Root): Map<string, unknown> {
  const out = new Map<string, unknown>();
  const walk = (ns: protobuf.NamespaceBase): void => {
    for (const t of ns.nestedArray) {
      if (t instanceof protobuf.Type) {
        out.set(t.fullName, {
          fields: Object.fromEntries(
            t.fieldsArray.map((f) => [f.name, [f.id, f.resolvedType?.fullName ?? f.type, f.repeated, f.partOf?.name ?? '']]),
          ),
        });
        walk(t);
      } else if (t instanceof protobuf.Enum) out.set(t.fullName, t.values);
      else if (t instanceof protobuf.Service)
        out.set(
          t.fullName,
          Object.fromEntries(
            t.methodsArray.map((m) => {
              m.resolve();
              const http = m.getOption('(google.api.http).post');
              const types = [m.resolvedRequestType?.fullName, m.resolvedResponseType?.fullName];
              return [m.name, [...types, m.requestStream ?? false, m.responseStream ?? false, http]];
            }),
          ),
        );
      else if (t instanceof protobuf.Namespace) walk(t);
    }
  };
  walk(root);
  return out;
}

/** Protocols that are not etcd's own: gRPC's health and reflection, and that of trace collectors. */
const others = ['.grpc.', '.opentelemetry.'];

describe('proto/', () => {
  const want = describeAll(recorded);
  const have = describeAll(ours);

  it('declares what the recorded schema declares and nothing else', () => {
    const ofEtcd = [...have.keys()].filter((name) => !others.some((o) => name.startsWith(o)));
    expect(ofEtcd.sort()).toEqual([...want.keys()].sort());
    expect(want.size).toBeGreaterThan(150);
  });

  it.each([...want.keys()])('%s', (name) => {
    expect(have.get(name)).toEqual(want.get(name));
  });
});
