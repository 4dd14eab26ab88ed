/** `-w protobuf`: the response as it came, without a line end. */
import * as pb from '../../api/gen/etcdserverpb.ts';
import type { Codec, Init } from '../../api/proto-io.ts';
import { CommandError, ExitCode } from '../frame/exit.ts';
import { Collected, stdout } from '../frame/output.ts';
import type { Format } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

/** Of these, etcd's client keeps the header alone in a shape that can be encoded, and that is what is written. */
const headerOnly = ({ header }: { readonly header: pb.ResponseHeader | undefined }): void => {
  if (header !== undefined) stdout(pb.ResponseHeader.encode(header));
};

export function protobufFormat(_options: PrintOptions): Format {
  const show =
    <T>(codec: Codec<T>) =>
    (m: T): void =>
      stdout(codec.encode(m as Init<T>));
  const named = (typeName: string, message: object): void => {
    const codec = (pb as unknown as Record<string, Codec<object>>)[typeName.replace('etcdserverpb.', '')];
    if (codec !== undefined) stdout(codec.encode(message));
  };
  return {
    put: show(pb.PutResponse),
    get: show(pb.RangeResponse),
    range: (head) => {
      const out = new Collected();
      // Fields in the order of their numbers, as the whole message has them.
      out.bytes(pb.RangeResponse.encode({ header: head.header }));
      return {
        pairs: (kvs) => out.bytes(pb.RangeResponse.encode({ kvs })),
        end: () => {
          out.bytes(pb.RangeResponse.encode({ more: head.more, count: head.count }));
          out.flush();
        },
      };
    },
    del: show(pb.DeleteRangeResponse),
    txn: show(pb.TxnResponse),
    // The watch id belongs to the stream, not to the answer.
    watch: (r) => stdout(pb.WatchResponse.encode({ ...r, watchId: 0 })),
    grant: headerOnly,
    // And of this nothing.
    revoke: () => {
      throw new CommandError(ExitCode.BadFeature, 'marshal unsupported for type *clientv3.LeaseRevokeResponse');
    },
    keepAlive: headerOnly,
    timeToLive: (r) => headerOnly(r.response),
    leases: headerOnly,
    memberList: show(pb.MemberListResponse),
    member: (r) => named(r.typeName, r.message),
    moveLeader: (r) => stdout(pb.MoveLeaderResponse.encode(r.response)),
    alarm: show(pb.AlarmResponse),
    downgrade: (r) => stdout(pb.DowngradeResponse.encode(r.response)),
    authChange: (r) => named(r.typeName, r.message),
    roleGet: (r) => stdout(pb.AuthRoleGetResponse.encode(r.response)),
    roleList: show(pb.AuthRoleListResponse),
    userGet: (r) => stdout(pb.AuthUserGetResponse.encode(r.response)),
    userList: show(pb.AuthUserListResponse),
    authStatus: show(pb.AuthStatusResponse),
  };
}
