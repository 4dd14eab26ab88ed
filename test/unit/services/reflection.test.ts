// Server reflection through a channel: what grpcurl asks for, and what it gets when there is no such thing.
import protobuf, { type Method } from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../../src/api/gen/methods.ts';
import { ServerReflection, type ServerReflectionRequest, type ServerReflectionResponse } from '../../../src/api/gen/grpc-reflection.ts';
import type { Init } from '../../../src/api/proto-io.ts';
import type { Status } from '../../../src/api/status.ts';
import { type EmbeddedMember, startMember } from '../../../src/server/embed.ts';
import type { Channel } from '../../../src/wire/channel.ts';

let member: EmbeddedMember;
let channel: Channel;
beforeAll(async () => {
  member = await startMember();
  channel = member.channel();
}, 60_000);
afterAll(() => member.close());

const v1 = ServerReflection.serverReflectionInfo;
const v1alpha = { ...v1, path: v1.path.replace('.v1.', '.v1alpha.') };

/** One stream with these questions; the answers, and how the stream ended. */
function ask(
  questions: readonly Init<ServerReflectionRequest>[],
  method: typeof v1 = v1,
): Promise<{ answers: ServerReflectionResponse[]; end: Status }> {
  return new Promise((resolve) => {
    const answers: ServerReflectionResponse[] = [];
    const stream = channel.stream(method, { timeoutMs: 60_000 });
    stream.onMessage = (m) => void answers.push(m);
    stream.onEnd = (end) => resolve({ answers, end });
    for (const q of questions) stream.send(q);
    stream.halfClose();
  });
}

const files = (a: ServerReflectionResponse | undefined): string[] =>
  (a?.fileDescriptorResponse?.fileDescriptorProto ?? []).map((b) => descriptor.FileDescriptorProto.decode(b).toJSON()['name'] as string);

describe.each([
  ['v1', v1],
  ['v1alpha', v1alpha],
] as const)('reflection %s', (_, method) => {
  it('lists services', async () => {
    const { answers, end } = await ask([{ host: 'h', listServices: '*' }], method);
    expect(end.code).toBe(0);
    expect(answers[0]!.validHost).toBe('h');
    expect(answers[0]!.originalRequest!.listServices).toBe('*');
    expect(answers[0]!.listServicesResponse!.service.map((s) => s.name)).toEqual([
      'etcdserverpb.Auth',
      'etcdserverpb.Cluster',
      'etcdserverpb.KV',
      'etcdserverpb.Lease',
      'etcdserverpb.Maintenance',
      'etcdserverpb.Watch',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'v3electionpb.Election',
      'v3lockpb.Lock',
    ]);
  });

  it('finds files by name and by symbol, each with what it imports', async () => {
    const { answers } = await ask([{ fileByFilename: 'etcdserverpb/rpc.proto' }], method);
    expect(files(answers[0])).toEqual(['etcdserverpb/rpc.proto', 'authpb/auth.proto', 'mvccpb/kv.proto']);
    for (const [symbol, file] of [
      ['etcdserverpb.KV', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.KV.Put', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.PutRequest', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.PutRequest.prev_kv', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.Compare.target_union', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.RangeRequest.SortOrder', 'etcdserverpb/rpc.proto'],
      ['etcdserverpb.RangeRequest.DESCEND', 'etcdserverpb/rpc.proto'],
      ['mvccpb.KeyValue', 'mvccpb/kv.proto'],
      ['mvccpb.Event.EventType', 'mvccpb/kv.proto'],
      ['grpc.health.v1.HealthListResponse.StatusesEntry', 'grpc/health/v1/health.proto'],
      ['grpc.reflection.v1.ExtensionRequest', 'grpc/reflection/v1/reflection.proto'],
      ['grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo', 'grpc/reflection/v1alpha/reflection.proto'],
    ] as const) {
      const found = await ask([{ fileContainingSymbol: symbol }], method);
      expect(files(found.answers[0])[0], symbol).toBe(file);
    }
  });

  it('sends imports once over a stream, what is asked for as often as it is asked for', async () => {
    const { answers } = await ask(
      [{ fileByFilename: 'v3lockpb/lock.proto' }, { fileByFilename: 'v3electionpb/election.proto' }, { fileByFilename: 'mvccpb/kv.proto' }],
      method,
    );
    expect(answers.map(files)).toEqual([
      ['v3lockpb/lock.proto', 'etcdserverpb/rpc.proto', 'authpb/auth.proto', 'mvccpb/kv.proto'],
      ['v3electionpb/election.proto'],
      ['mvccpb/kv.proto'],
    ]);
  });

  it('says when there is no such thing, and goes on', async () => {
    const { answers, end } = await ask(
      [
        { fileByFilename: 'nosuch.proto' },
        { fileContainingSymbol: 'etcdserverpb.Nosuch' },
        { fileContainingSymbol: '' },
        { fileContainingExtension: { containingType: 'etcdserverpb.PutRequest', extensionNumber: 1 } },
        { allExtensionNumbersOfType: 'nosuch' },
        { allExtensionNumbersOfType: 'etcdserverpb.PutRequest' },
      ],
      method,
    );
    expect(end.code).toBe(0);
    expect(answers.slice(0, 5).map((a) => a.errorResponse)).toEqual(
      Array.from({ length: 5 }, () => ({ errorCode: 5, errorMessage: 'proto: not found' })),
    );
    expect(answers[5]!.allExtensionNumbersResponse).toEqual({ baseTypeName: 'etcdserverpb.PutRequest', extensionNumber: [] });
    const empty = await ask([{}], method);
    expect(empty.end.code).toBe(3);
  });
});

it('the descriptors are whole: a client builds every method and message from them', async () => {
  const { answers } = await ask(['etcdserverpb.KV', 'v3lockpb.Lock', 'v3electionpb.Election'].map((s) => ({ fileContainingSymbol: s })));
  const file = answers.flatMap((a) => a.fileDescriptorResponse!.fileDescriptorProto.map((b) => descriptor.FileDescriptorProto.decode(b)));
  const root = protobuf.Root.fromDescriptor(descriptor.FileDescriptorSet.create({ file }) as never).resolveAll();
  for (const m of methods) {
    const found = (root.lookupService(m.service).methods[m.name] as Method).resolve() as Method;
    expect([found.resolvedRequestType!.fullName, found.resolvedResponseType!.fullName]).toEqual([
      `.${m.request.typeName}`,
      `.${m.response.typeName}`,
    ]);
    expect([found.requestStream ?? false, found.responseStream ?? false]).toEqual([m.requestStream, m.responseStream]);
  }
  const txn = root.lookupType('etcdserverpb.TxnRequest');
  const bytes = txn.encode(txn.fromObject({ success: [{ requestPut: { key: Buffer.from('a'), lease: 5 } }] })).finish();
  const decoded = methods.find((m) => m.name === 'Txn')!.request.decode(bytes) as { success: { requestPut: { lease: bigint } }[] };
  expect(decoded.success[0]!.requestPut.lease).toBe(5n);
});
