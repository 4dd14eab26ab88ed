// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { Event, KeyValue } from './mvccpb.ts';
import { Permission, UserAddOptions } from './authpb.ts';
import { ClusterMemberAttrSetRequest, ClusterVersionSetRequest, DowngradeInfoSetRequest } from './membershippb.ts';

const empty = new Uint8Array(0);

export interface Metadata {
  NodeID: bigint;
  ClusterID: bigint;
}
export const Metadata: Codec<Metadata> = {
  typeName: 'etcdserverpb.Metadata',
  create() {
    return { NodeID: 0n, ClusterID: 0n };
  },
  encode(m) {
    return encodeWith(Metadata, m);
  },
  write(m, w) {
    w.varint32(8);
    w.bigint64(m.NodeID ?? 0n);
    w.varint32(16);
    w.bigint64(m.ClusterID ?? 0n);
  },
  decode(b) {
    return decodeWith(Metadata, b);
  },
  read(r, end) {
    const m = Metadata.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.NodeID = r.bigUint64();
          break;
        case 16:
          m.ClusterID = r.bigUint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface RequestHeader {
  ID: bigint;
  username: string;
  authRevision: number;
}
export const RequestHeader: Codec<RequestHeader> = {
  typeName: 'etcdserverpb.RequestHeader',
  create() {
    return { ID: 0n, username: '', authRevision: 0 };
  },
  encode(m) {
    return encodeWith(RequestHeader, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.username !== undefined && m.username.length !== 0) {
      w.varint32(18);
      w.string(m.username);
    }
    if (m.authRevision !== undefined && m.authRevision !== 0) {
      w.varint32(24);
      w.int64(m.authRevision);
    }
  },
  decode(b) {
    return decodeWith(RequestHeader, b);
  },
  read(r, end) {
    const m = RequestHeader.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        case 18:
          m.username = r.string();
          break;
        case 24:
          m.authRevision = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface InternalRaftRequest {
  ID: bigint;
  range: RangeRequest | undefined;
  put: PutRequest | undefined;
  deleteRange: DeleteRangeRequest | undefined;
  txn: TxnRequest | undefined;
  compaction: CompactionRequest | undefined;
  leaseGrant: LeaseGrantRequest | undefined;
  leaseRevoke: LeaseRevokeRequest | undefined;
  alarm: AlarmRequest | undefined;
  leaseCheckpoint: LeaseCheckpointRequest | undefined;
  header: RequestHeader | undefined;
  authEnable: AuthEnableRequest | undefined;
  authDisable: AuthDisableRequest | undefined;
  authenticate: InternalAuthenticateRequest | undefined;
  authStatus: AuthStatusRequest | undefined;
  authUserAdd: AuthUserAddRequest | undefined;
  authUserDelete: AuthUserDeleteRequest | undefined;
  authUserGet: AuthUserGetRequest | undefined;
  authUserChangePassword: AuthUserChangePasswordRequest | undefined;
  authUserGrantRole: AuthUserGrantRoleRequest | undefined;
  authUserRevokeRole: AuthUserRevokeRoleRequest | undefined;
  authUserList: AuthUserListRequest | undefined;
  authRoleList: AuthRoleListRequest | undefined;
  authRoleAdd: AuthRoleAddRequest | undefined;
  authRoleDelete: AuthRoleDeleteRequest | undefined;
  authRoleGet: AuthRoleGetRequest | undefined;
  authRoleGrantPermission: AuthRoleGrantPermissionRequest | undefined;
  authRoleRevokePermission: AuthRoleRevokePermissionRequest | undefined;
  clusterVersionSet: ClusterVersionSetRequest | undefined;
  clusterMemberAttrSet: ClusterMemberAttrSetRequest | undefined;
  downgradeInfoSet: DowngradeInfoSetRequest | undefined;
  downgradeVersionTest: DowngradeVersionTestRequest | undefined;
}
export const InternalRaftRequest: Codec<InternalRaftRequest> = {
  typeName: 'etcdserverpb.InternalRaftRequest',
  create() {
    return {
      ID: 0n,
      range: undefined,
      put: undefined,
      deleteRange: undefined,
      txn: undefined,
      compaction: undefined,
      leaseGrant: undefined,
      leaseRevoke: undefined,
      alarm: undefined,
      leaseCheckpoint: undefined,
      header: undefined,
      authEnable: undefined,
      authDisable: undefined,
      authenticate: undefined,
      authStatus: undefined,
      authUserAdd: undefined,
      authUserDelete: undefined,
      authUserGet: undefined,
      authUserChangePassword: undefined,
      authUserGrantRole: undefined,
      authUserRevokeRole: undefined,
      authUserList: undefined,
      authRoleList: undefined,
      authRoleAdd: undefined,
      authRoleDelete: undefined,
      authRoleGet: undefined,
      authRoleGrantPermission: undefined,
      authRoleRevokePermission: undefined,
      clusterVersionSet: undefined,
      clusterMemberAttrSet: undefined,
      downgradeInfoSet: undefined,
      downgradeVersionTest: undefined,
    };
  },
  encode(m) {
    return encodeWith(InternalRaftRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.range !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      RangeRequest.write(m.range, w);
      w.endMessage(mark);
    }
    if (m.put !== undefined) {
      w.varint32(34);
      const mark = w.beginMessage();
      PutRequest.write(m.put, w);
      w.endMessage(mark);
    }
    if (m.deleteRange !== undefined) {
      w.varint32(42);
      const mark = w.beginMessage();
      DeleteRangeRequest.write(m.deleteRange, w);
      w.endMessage(mark);
    }
    if (m.txn !== undefined) {
      w.varint32(50);
      const mark = w.beginMessage();
      TxnRequest.write(m.txn, w);
      w.endMessage(mark);
    }
    if (m.compaction !== undefined) {
      w.varint32(58);
      const mark = w.beginMessage();
      CompactionRequest.write(m.compaction, w);
      w.endMessage(mark);
    }
    if (m.leaseGrant !== undefined) {
      w.varint32(66);
      const mark = w.beginMessage();
      LeaseGrantRequest.write(m.leaseGrant, w);
      w.endMessage(mark);
    }
    if (m.leaseRevoke !== undefined) {
      w.varint32(74);
      const mark = w.beginMessage();
      LeaseRevokeRequest.write(m.leaseRevoke, w);
      w.endMessage(mark);
    }
    if (m.alarm !== undefined) {
      w.varint32(82);
      const mark = w.beginMessage();
      AlarmRequest.write(m.alarm, w);
      w.endMessage(mark);
    }
    if (m.leaseCheckpoint !== undefined) {
      w.varint32(90);
      const mark = w.beginMessage();
      LeaseCheckpointRequest.write(m.leaseCheckpoint, w);
      w.endMessage(mark);
    }
    if (m.header !== undefined) {
      w.varint32(802);
      const mark = w.beginMessage();
      RequestHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.authEnable !== undefined) {
      w.varint32(8002);
      const mark = w.beginMessage();
      AuthEnableRequest.write(m.authEnable, w);
      w.endMessage(mark);
    }
    if (m.authDisable !== undefined) {
      w.varint32(8090);
      const mark = w.beginMessage();
      AuthDisableRequest.write(m.authDisable, w);
      w.endMessage(mark);
    }
    if (m.authenticate !== undefined) {
      w.varint32(8098);
      const mark = w.beginMessage();
      InternalAuthenticateRequest.write(m.authenticate, w);
      w.endMessage(mark);
    }
    if (m.authStatus !== undefined) {
      w.varint32(8106);
      const mark = w.beginMessage();
      AuthStatusRequest.write(m.authStatus, w);
      w.endMessage(mark);
    }
    if (m.authUserAdd !== undefined) {
      w.varint32(8802);
      const mark = w.beginMessage();
      AuthUserAddRequest.write(m.authUserAdd, w);
      w.endMessage(mark);
    }
    if (m.authUserDelete !== undefined) {
      w.varint32(8810);
      const mark = w.beginMessage();
      AuthUserDeleteRequest.write(m.authUserDelete, w);
      w.endMessage(mark);
    }
    if (m.authUserGet !== undefined) {
      w.varint32(8818);
      const mark = w.beginMessage();
      AuthUserGetRequest.write(m.authUserGet, w);
      w.endMessage(mark);
    }
    if (m.authUserChangePassword !== undefined) {
      w.varint32(8826);
      const mark = w.beginMessage();
      AuthUserChangePasswordRequest.write(m.authUserChangePassword, w);
      w.endMessage(mark);
    }
    if (m.authUserGrantRole !== undefined) {
      w.varint32(8834);
      const mark = w.beginMessage();
      AuthUserGrantRoleRequest.write(m.authUserGrantRole, w);
      w.endMessage(mark);
    }
    if (m.authUserRevokeRole !== undefined) {
      w.varint32(8842);
      const mark = w.beginMessage();
      AuthUserRevokeRoleRequest.write(m.authUserRevokeRole, w);
      w.endMessage(mark);
    }
    if (m.authUserList !== undefined) {
      w.varint32(8850);
      const mark = w.beginMessage();
      AuthUserListRequest.write(m.authUserList, w);
      w.endMessage(mark);
    }
    if (m.authRoleList !== undefined) {
      w.varint32(8858);
      const mark = w.beginMessage();
      AuthRoleListRequest.write(m.authRoleList, w);
      w.endMessage(mark);
    }
    if (m.authRoleAdd !== undefined) {
      w.varint32(9602);
      const mark = w.beginMessage();
      AuthRoleAddRequest.write(m.authRoleAdd, w);
      w.endMessage(mark);
    }
    if (m.authRoleDelete !== undefined) {
      w.varint32(9610);
      const mark = w.beginMessage();
      AuthRoleDeleteRequest.write(m.authRoleDelete, w);
      w.endMessage(mark);
    }
    if (m.authRoleGet !== undefined) {
      w.varint32(9618);
      const mark = w.beginMessage();
      AuthRoleGetRequest.write(m.authRoleGet, w);
      w.endMessage(mark);
    }
    if (m.authRoleGrantPermission !== undefined) {
      w.varint32(9626);
      const mark = w.beginMessage();
      AuthRoleGrantPermissionRequest.write(m.authRoleGrantPermission, w);
      w.endMessage(mark);
    }
    if (m.authRoleRevokePermission !== undefined) {
      w.varint32(9634);
      const mark = w.beginMessage();
      AuthRoleRevokePermissionRequest.write(m.authRoleRevokePermission, w);
      w.endMessage(mark);
    }
    if (m.clusterVersionSet !== undefined) {
      w.varint32(10402);
      const mark = w.beginMessage();
      ClusterVersionSetRequest.write(m.clusterVersionSet, w);
      w.endMessage(mark);
    }
    if (m.clusterMemberAttrSet !== undefined) {
      w.varint32(10410);
      const mark = w.beginMessage();
      ClusterMemberAttrSetRequest.write(m.clusterMemberAttrSet, w);
      w.endMessage(mark);
    }
    if (m.downgradeInfoSet !== undefined) {
      w.varint32(10418);
      const mark = w.beginMessage();
      DowngradeInfoSetRequest.write(m.downgradeInfoSet, w);
      w.endMessage(mark);
    }
    if (m.downgradeVersionTest !== undefined) {
      w.varint32(79202);
      const mark = w.beginMessage();
      DowngradeVersionTestRequest.write(m.downgradeVersionTest, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(InternalRaftRequest, b);
  },
  read(r, end) {
    const m = InternalRaftRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        case 26:
          m.range = RangeRequest.read(r, r.messageEnd());
          break;
        case 34:
          m.put = PutRequest.read(r, r.messageEnd());
          break;
        case 42:
          m.deleteRange = DeleteRangeRequest.read(r, r.messageEnd());
          break;
        case 50:
          m.txn = TxnRequest.read(r, r.messageEnd());
          break;
        case 58:
          m.compaction = CompactionRequest.read(r, r.messageEnd());
          break;
        case 66:
          m.leaseGrant = LeaseGrantRequest.read(r, r.messageEnd());
          break;
        case 74:
          m.leaseRevoke = LeaseRevokeRequest.read(r, r.messageEnd());
          break;
        case 82:
          m.alarm = AlarmRequest.read(r, r.messageEnd());
          break;
        case 90:
          m.leaseCheckpoint = LeaseCheckpointRequest.read(r, r.messageEnd());
          break;
        case 802:
          m.header = RequestHeader.read(r, r.messageEnd());
          break;
        case 8002:
          m.authEnable = AuthEnableRequest.read(r, r.messageEnd());
          break;
        case 8090:
          m.authDisable = AuthDisableRequest.read(r, r.messageEnd());
          break;
        case 8098:
          m.authenticate = InternalAuthenticateRequest.read(r, r.messageEnd());
          break;
        case 8106:
          m.authStatus = AuthStatusRequest.read(r, r.messageEnd());
          break;
        case 8802:
          m.authUserAdd = AuthUserAddRequest.read(r, r.messageEnd());
          break;
        case 8810:
          m.authUserDelete = AuthUserDeleteRequest.read(r, r.messageEnd());
          break;
        case 8818:
          m.authUserGet = AuthUserGetRequest.read(r, r.messageEnd());
          break;
        case 8826:
          m.authUserChangePassword = AuthUserChangePasswordRequest.read(r, r.messageEnd());
          break;
        case 8834:
          m.authUserGrantRole = AuthUserGrantRoleRequest.read(r, r.messageEnd());
          break;
        case 8842:
          m.authUserRevokeRole = AuthUserRevokeRoleRequest.read(r, r.messageEnd());
          break;
        case 8850:
          m.authUserList = AuthUserListRequest.read(r, r.messageEnd());
          break;
        case 8858:
          m.authRoleList = AuthRoleListRequest.read(r, r.messageEnd());
          break;
        case 9602:
          m.authRoleAdd = AuthRoleAddRequest.read(r, r.messageEnd());
          break;
        case 9610:
          m.authRoleDelete = AuthRoleDeleteRequest.read(r, r.messageEnd());
          break;
        case 9618:
          m.authRoleGet = AuthRoleGetRequest.read(r, r.messageEnd());
          break;
        case 9626:
          m.authRoleGrantPermission = AuthRoleGrantPermissionRequest.read(r, r.messageEnd());
          break;
        case 9634:
          m.authRoleRevokePermission = AuthRoleRevokePermissionRequest.read(r, r.messageEnd());
          break;
        case 10402:
          m.clusterVersionSet = ClusterVersionSetRequest.read(r, r.messageEnd());
          break;
        case 10410:
          m.clusterMemberAttrSet = ClusterMemberAttrSetRequest.read(r, r.messageEnd());
          break;
        case 10418:
          m.downgradeInfoSet = DowngradeInfoSetRequest.read(r, r.messageEnd());
          break;
        case 79202:
          m.downgradeVersionTest = DowngradeVersionTestRequest.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface EmptyResponse {}
export const EmptyResponse: Codec<EmptyResponse> = {
  typeName: 'etcdserverpb.EmptyResponse',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(EmptyResponse, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(EmptyResponse, b);
  },
  read(r, end) {
    const m = EmptyResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface InternalAuthenticateRequest {
  name: string;
  password: string;
  simpleToken: string;
}
export const InternalAuthenticateRequest: Codec<InternalAuthenticateRequest> = {
  typeName: 'etcdserverpb.InternalAuthenticateRequest',
  create() {
    return { name: '', password: '', simpleToken: '' };
  },
  encode(m) {
    return encodeWith(InternalAuthenticateRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.password !== undefined && m.password.length !== 0) {
      w.varint32(18);
      w.string(m.password);
    }
    if (m.simpleToken !== undefined && m.simpleToken.length !== 0) {
      w.varint32(26);
      w.string(m.simpleToken);
    }
  },
  decode(b) {
    return decodeWith(InternalAuthenticateRequest, b);
  },
  read(r, end) {
    const m = InternalAuthenticateRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.password = r.string();
          break;
        case 26:
          m.simpleToken = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ResponseHeader {
  clusterId: bigint;
  memberId: bigint;
  revision: number;
  raftTerm: number;
}
export const ResponseHeader: Codec<ResponseHeader> = {
  typeName: 'etcdserverpb.ResponseHeader',
  create() {
    return { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };
  },
  encode(m) {
    return encodeWith(ResponseHeader, m);
  },
  write(m, w) {
    if (m.clusterId !== undefined && m.clusterId !== 0n) {
      w.varint32(8);
      w.bigint64(m.clusterId);
    }
    if (m.memberId !== undefined && m.memberId !== 0n) {
      w.varint32(16);
      w.bigint64(m.memberId);
    }
    if (m.revision !== undefined && m.revision !== 0) {
      w.varint32(24);
      w.int64(m.revision);
    }
    if (m.raftTerm !== undefined && m.raftTerm !== 0) {
      w.varint32(32);
      w.int64(m.raftTerm);
    }
  },
  decode(b) {
    return decodeWith(ResponseHeader, b);
  },
  read(r, end) {
    const m = ResponseHeader.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.clusterId = r.bigUint64();
          break;
        case 16:
          m.memberId = r.bigUint64();
          break;
        case 24:
          m.revision = r.int64();
          break;
        case 32:
          m.raftTerm = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface RangeRequest {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  limit: number;
  revision: number;
  sortOrder: RangeRequest_SortOrder;
  sortTarget: RangeRequest_SortTarget;
  serializable: boolean;
  keysOnly: boolean;
  countOnly: boolean;
  minModRevision: number;
  maxModRevision: number;
  minCreateRevision: number;
  maxCreateRevision: number;
}
export const RangeRequest: Codec<RangeRequest> = {
  typeName: 'etcdserverpb.RangeRequest',
  create() {
    return {
      key: empty,
      rangeEnd: empty,
      limit: 0,
      revision: 0,
      sortOrder: 0,
      sortTarget: 0,
      serializable: false,
      keysOnly: false,
      countOnly: false,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    };
  },
  encode(m) {
    return encodeWith(RangeRequest, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(18);
      w.bytes(m.rangeEnd);
    }
    if (m.limit !== undefined && m.limit !== 0) {
      w.varint32(24);
      w.int64(m.limit);
    }
    if (m.revision !== undefined && m.revision !== 0) {
      w.varint32(32);
      w.int64(m.revision);
    }
    if (m.sortOrder !== undefined && m.sortOrder !== 0) {
      w.varint32(40);
      w.int64(m.sortOrder);
    }
    if (m.sortTarget !== undefined && m.sortTarget !== 0) {
      w.varint32(48);
      w.int64(m.sortTarget);
    }
    if (m.serializable === true) {
      w.varint32(56);
      w.varint32(m.serializable ? 1 : 0);
    }
    if (m.keysOnly === true) {
      w.varint32(64);
      w.varint32(m.keysOnly ? 1 : 0);
    }
    if (m.countOnly === true) {
      w.varint32(72);
      w.varint32(m.countOnly ? 1 : 0);
    }
    if (m.minModRevision !== undefined && m.minModRevision !== 0) {
      w.varint32(80);
      w.int64(m.minModRevision);
    }
    if (m.maxModRevision !== undefined && m.maxModRevision !== 0) {
      w.varint32(88);
      w.int64(m.maxModRevision);
    }
    if (m.minCreateRevision !== undefined && m.minCreateRevision !== 0) {
      w.varint32(96);
      w.int64(m.minCreateRevision);
    }
    if (m.maxCreateRevision !== undefined && m.maxCreateRevision !== 0) {
      w.varint32(104);
      w.int64(m.maxCreateRevision);
    }
  },
  decode(b) {
    return decodeWith(RangeRequest, b);
  },
  read(r, end) {
    const m = RangeRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        case 18:
          m.rangeEnd = r.bytes();
          break;
        case 24:
          m.limit = r.int64();
          break;
        case 32:
          m.revision = r.int64();
          break;
        case 40:
          m.sortOrder = r.int32();
          break;
        case 48:
          m.sortTarget = r.int32();
          break;
        case 56:
          m.serializable = r.bool();
          break;
        case 64:
          m.keysOnly = r.bool();
          break;
        case 72:
          m.countOnly = r.bool();
          break;
        case 80:
          m.minModRevision = r.int64();
          break;
        case 88:
          m.maxModRevision = r.int64();
          break;
        case 96:
          m.minCreateRevision = r.int64();
          break;
        case 104:
          m.maxCreateRevision = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const RangeRequest_SortOrder = { NONE: 0, ASCEND: 1, DESCEND: 2 } as const;
export type RangeRequest_SortOrder = number;

export const RangeRequest_SortTarget = { KEY: 0, VERSION: 1, CREATE: 2, MOD: 3, VALUE: 4 } as const;
export type RangeRequest_SortTarget = number;

export interface RangeResponse {
  header: ResponseHeader | undefined;
  kvs: KeyValue[];
  more: boolean;
  count: number;
}
export const RangeResponse: Codec<RangeResponse> = {
  typeName: 'etcdserverpb.RangeResponse',
  create() {
    return { header: undefined, kvs: [], more: false, count: 0 };
  },
  encode(m) {
    return encodeWith(RangeResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.kvs !== undefined)
      for (const e of m.kvs) {
        w.varint32(18);
        const mark = w.beginMessage();
        KeyValue.write(e, w);
        w.endMessage(mark);
      }
    if (m.more === true) {
      w.varint32(24);
      w.varint32(m.more ? 1 : 0);
    }
    if (m.count !== undefined && m.count !== 0) {
      w.varint32(32);
      w.int64(m.count);
    }
  },
  decode(b) {
    return decodeWith(RangeResponse, b);
  },
  read(r, end) {
    const m = RangeResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.kvs.push(KeyValue.read(r, r.messageEnd()));
          break;
        case 24:
          m.more = r.bool();
          break;
        case 32:
          m.count = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface PutRequest {
  key: Uint8Array;
  value: Uint8Array;
  lease: bigint;
  prevKv: boolean;
  ignoreValue: boolean;
  ignoreLease: boolean;
}
export const PutRequest: Codec<PutRequest> = {
  typeName: 'etcdserverpb.PutRequest',
  create() {
    return { key: empty, value: empty, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  },
  encode(m) {
    return encodeWith(PutRequest, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
    if (m.value !== undefined && m.value.length !== 0) {
      w.varint32(18);
      w.bytes(m.value);
    }
    if (m.lease !== undefined && m.lease !== 0n) {
      w.varint32(24);
      w.bigint64(m.lease);
    }
    if (m.prevKv === true) {
      w.varint32(32);
      w.varint32(m.prevKv ? 1 : 0);
    }
    if (m.ignoreValue === true) {
      w.varint32(40);
      w.varint32(m.ignoreValue ? 1 : 0);
    }
    if (m.ignoreLease === true) {
      w.varint32(48);
      w.varint32(m.ignoreLease ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(PutRequest, b);
  },
  read(r, end) {
    const m = PutRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        case 18:
          m.value = r.bytes();
          break;
        case 24:
          m.lease = r.bigInt64();
          break;
        case 32:
          m.prevKv = r.bool();
          break;
        case 40:
          m.ignoreValue = r.bool();
          break;
        case 48:
          m.ignoreLease = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface PutResponse {
  header: ResponseHeader | undefined;
  prevKv: KeyValue | undefined;
}
export const PutResponse: Codec<PutResponse> = {
  typeName: 'etcdserverpb.PutResponse',
  create() {
    return { header: undefined, prevKv: undefined };
  },
  encode(m) {
    return encodeWith(PutResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.prevKv !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      KeyValue.write(m.prevKv, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(PutResponse, b);
  },
  read(r, end) {
    const m = PutResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.prevKv = KeyValue.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DeleteRangeRequest {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  prevKv: boolean;
}
export const DeleteRangeRequest: Codec<DeleteRangeRequest> = {
  typeName: 'etcdserverpb.DeleteRangeRequest',
  create() {
    return { key: empty, rangeEnd: empty, prevKv: false };
  },
  encode(m) {
    return encodeWith(DeleteRangeRequest, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(18);
      w.bytes(m.rangeEnd);
    }
    if (m.prevKv === true) {
      w.varint32(24);
      w.varint32(m.prevKv ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(DeleteRangeRequest, b);
  },
  read(r, end) {
    const m = DeleteRangeRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        case 18:
          m.rangeEnd = r.bytes();
          break;
        case 24:
          m.prevKv = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DeleteRangeResponse {
  header: ResponseHeader | undefined;
  deleted: number;
  prevKvs: KeyValue[];
}
export const DeleteRangeResponse: Codec<DeleteRangeResponse> = {
  typeName: 'etcdserverpb.DeleteRangeResponse',
  create() {
    return { header: undefined, deleted: 0, prevKvs: [] };
  },
  encode(m) {
    return encodeWith(DeleteRangeResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.deleted !== undefined && m.deleted !== 0) {
      w.varint32(16);
      w.int64(m.deleted);
    }
    if (m.prevKvs !== undefined)
      for (const e of m.prevKvs) {
        w.varint32(26);
        const mark = w.beginMessage();
        KeyValue.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(DeleteRangeResponse, b);
  },
  read(r, end) {
    const m = DeleteRangeResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.deleted = r.int64();
          break;
        case 26:
          m.prevKvs.push(KeyValue.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface RequestOp {
  requestRange: RangeRequest | undefined;
  requestPut: PutRequest | undefined;
  requestDeleteRange: DeleteRangeRequest | undefined;
  requestTxn: TxnRequest | undefined;
}
export const RequestOp: Codec<RequestOp> = {
  typeName: 'etcdserverpb.RequestOp',
  create() {
    return { requestRange: undefined, requestPut: undefined, requestDeleteRange: undefined, requestTxn: undefined };
  },
  encode(m) {
    return encodeWith(RequestOp, m);
  },
  write(m, w) {
    if (m.requestRange !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      RangeRequest.write(m.requestRange, w);
      w.endMessage(mark);
    }
    if (m.requestPut !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      PutRequest.write(m.requestPut, w);
      w.endMessage(mark);
    }
    if (m.requestDeleteRange !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      DeleteRangeRequest.write(m.requestDeleteRange, w);
      w.endMessage(mark);
    }
    if (m.requestTxn !== undefined) {
      w.varint32(34);
      const mark = w.beginMessage();
      TxnRequest.write(m.requestTxn, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(RequestOp, b);
  },
  read(r, end) {
    const m = RequestOp.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.requestPut = undefined;
          m.requestDeleteRange = undefined;
          m.requestTxn = undefined;
          m.requestRange = RangeRequest.read(r, r.messageEnd());
          break;
        case 18:
          m.requestRange = undefined;
          m.requestDeleteRange = undefined;
          m.requestTxn = undefined;
          m.requestPut = PutRequest.read(r, r.messageEnd());
          break;
        case 26:
          m.requestRange = undefined;
          m.requestPut = undefined;
          m.requestTxn = undefined;
          m.requestDeleteRange = DeleteRangeRequest.read(r, r.messageEnd());
          break;
        case 34:
          m.requestRange = undefined;
          m.requestPut = undefined;
          m.requestDeleteRange = undefined;
          m.requestTxn = TxnRequest.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ResponseOp {
  responseRange: RangeResponse | undefined;
  responsePut: PutResponse | undefined;
  responseDeleteRange: DeleteRangeResponse | undefined;
  responseTxn: TxnResponse | undefined;
}
export const ResponseOp: Codec<ResponseOp> = {
  typeName: 'etcdserverpb.ResponseOp',
  create() {
    return { responseRange: undefined, responsePut: undefined, responseDeleteRange: undefined, responseTxn: undefined };
  },
  encode(m) {
    return encodeWith(ResponseOp, m);
  },
  write(m, w) {
    if (m.responseRange !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      RangeResponse.write(m.responseRange, w);
      w.endMessage(mark);
    }
    if (m.responsePut !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      PutResponse.write(m.responsePut, w);
      w.endMessage(mark);
    }
    if (m.responseDeleteRange !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      DeleteRangeResponse.write(m.responseDeleteRange, w);
      w.endMessage(mark);
    }
    if (m.responseTxn !== undefined) {
      w.varint32(34);
      const mark = w.beginMessage();
      TxnResponse.write(m.responseTxn, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ResponseOp, b);
  },
  read(r, end) {
    const m = ResponseOp.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.responsePut = undefined;
          m.responseDeleteRange = undefined;
          m.responseTxn = undefined;
          m.responseRange = RangeResponse.read(r, r.messageEnd());
          break;
        case 18:
          m.responseRange = undefined;
          m.responseDeleteRange = undefined;
          m.responseTxn = undefined;
          m.responsePut = PutResponse.read(r, r.messageEnd());
          break;
        case 26:
          m.responseRange = undefined;
          m.responsePut = undefined;
          m.responseTxn = undefined;
          m.responseDeleteRange = DeleteRangeResponse.read(r, r.messageEnd());
          break;
        case 34:
          m.responseRange = undefined;
          m.responsePut = undefined;
          m.responseDeleteRange = undefined;
          m.responseTxn = TxnResponse.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Compare {
  result: Compare_CompareResult;
  target: Compare_CompareTarget;
  key: Uint8Array;
  version: number | undefined;
  createRevision: number | undefined;
  modRevision: number | undefined;
  value: Uint8Array | undefined;
  lease: bigint | undefined;
  rangeEnd: Uint8Array;
}
export const Compare: Codec<Compare> = {
  typeName: 'etcdserverpb.Compare',
  create() {
    return {
      result: 0,
      target: 0,
      key: empty,
      version: undefined,
      createRevision: undefined,
      modRevision: undefined,
      value: undefined,
      lease: undefined,
      rangeEnd: empty,
    };
  },
  encode(m) {
    return encodeWith(Compare, m);
  },
  write(m, w) {
    if (m.result !== undefined && m.result !== 0) {
      w.varint32(8);
      w.int64(m.result);
    }
    if (m.target !== undefined && m.target !== 0) {
      w.varint32(16);
      w.int64(m.target);
    }
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(26);
      w.bytes(m.key);
    }
    if (m.version !== undefined) {
      w.varint32(32);
      w.int64(m.version);
    }
    if (m.createRevision !== undefined) {
      w.varint32(40);
      w.int64(m.createRevision);
    }
    if (m.modRevision !== undefined) {
      w.varint32(48);
      w.int64(m.modRevision);
    }
    if (m.value !== undefined) {
      w.varint32(58);
      w.bytes(m.value);
    }
    if (m.lease !== undefined) {
      w.varint32(64);
      w.bigint64(m.lease);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(514);
      w.bytes(m.rangeEnd);
    }
  },
  decode(b) {
    return decodeWith(Compare, b);
  },
  read(r, end) {
    const m = Compare.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.result = r.int32();
          break;
        case 16:
          m.target = r.int32();
          break;
        case 26:
          m.key = r.bytes();
          break;
        case 32:
          m.createRevision = undefined;
          m.modRevision = undefined;
          m.value = undefined;
          m.lease = undefined;
          m.version = r.int64();
          break;
        case 40:
          m.version = undefined;
          m.modRevision = undefined;
          m.value = undefined;
          m.lease = undefined;
          m.createRevision = r.int64();
          break;
        case 48:
          m.version = undefined;
          m.createRevision = undefined;
          m.value = undefined;
          m.lease = undefined;
          m.modRevision = r.int64();
          break;
        case 58:
          m.version = undefined;
          m.createRevision = undefined;
          m.modRevision = undefined;
          m.lease = undefined;
          m.value = r.bytes();
          break;
        case 64:
          m.version = undefined;
          m.createRevision = undefined;
          m.modRevision = undefined;
          m.value = undefined;
          m.lease = r.bigInt64();
          break;
        case 514:
          m.rangeEnd = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const Compare_CompareResult = { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 } as const;
export type Compare_CompareResult = number;

export const Compare_CompareTarget = { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3, LEASE: 4 } as const;
export type Compare_CompareTarget = number;

export interface TxnRequest {
  compare: Compare[];
  success: RequestOp[];
  failure: RequestOp[];
}
export const TxnRequest: Codec<TxnRequest> = {
  typeName: 'etcdserverpb.TxnRequest',
  create() {
    return { compare: [], success: [], failure: [] };
  },
  encode(m) {
    return encodeWith(TxnRequest, m);
  },
  write(m, w) {
    if (m.compare !== undefined)
      for (const e of m.compare) {
        w.varint32(10);
        const mark = w.beginMessage();
        Compare.write(e, w);
        w.endMessage(mark);
      }
    if (m.success !== undefined)
      for (const e of m.success) {
        w.varint32(18);
        const mark = w.beginMessage();
        RequestOp.write(e, w);
        w.endMessage(mark);
      }
    if (m.failure !== undefined)
      for (const e of m.failure) {
        w.varint32(26);
        const mark = w.beginMessage();
        RequestOp.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(TxnRequest, b);
  },
  read(r, end) {
    const m = TxnRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.compare.push(Compare.read(r, r.messageEnd()));
          break;
        case 18:
          m.success.push(RequestOp.read(r, r.messageEnd()));
          break;
        case 26:
          m.failure.push(RequestOp.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface TxnResponse {
  header: ResponseHeader | undefined;
  succeeded: boolean;
  responses: ResponseOp[];
}
export const TxnResponse: Codec<TxnResponse> = {
  typeName: 'etcdserverpb.TxnResponse',
  create() {
    return { header: undefined, succeeded: false, responses: [] };
  },
  encode(m) {
    return encodeWith(TxnResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.succeeded === true) {
      w.varint32(16);
      w.varint32(m.succeeded ? 1 : 0);
    }
    if (m.responses !== undefined)
      for (const e of m.responses) {
        w.varint32(26);
        const mark = w.beginMessage();
        ResponseOp.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(TxnResponse, b);
  },
  read(r, end) {
    const m = TxnResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.succeeded = r.bool();
          break;
        case 26:
          m.responses.push(ResponseOp.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface CompactionRequest {
  revision: number;
  physical: boolean;
}
export const CompactionRequest: Codec<CompactionRequest> = {
  typeName: 'etcdserverpb.CompactionRequest',
  create() {
    return { revision: 0, physical: false };
  },
  encode(m) {
    return encodeWith(CompactionRequest, m);
  },
  write(m, w) {
    if (m.revision !== undefined && m.revision !== 0) {
      w.varint32(8);
      w.int64(m.revision);
    }
    if (m.physical === true) {
      w.varint32(16);
      w.varint32(m.physical ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(CompactionRequest, b);
  },
  read(r, end) {
    const m = CompactionRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.revision = r.int64();
          break;
        case 16:
          m.physical = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface CompactionResponse {
  header: ResponseHeader | undefined;
}
export const CompactionResponse: Codec<CompactionResponse> = {
  typeName: 'etcdserverpb.CompactionResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(CompactionResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(CompactionResponse, b);
  },
  read(r, end) {
    const m = CompactionResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface HashRequest {}
export const HashRequest: Codec<HashRequest> = {
  typeName: 'etcdserverpb.HashRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(HashRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(HashRequest, b);
  },
  read(r, end) {
    const m = HashRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface HashKVRequest {
  revision: number;
}
export const HashKVRequest: Codec<HashKVRequest> = {
  typeName: 'etcdserverpb.HashKVRequest',
  create() {
    return { revision: 0 };
  },
  encode(m) {
    return encodeWith(HashKVRequest, m);
  },
  write(m, w) {
    if (m.revision !== undefined && m.revision !== 0) {
      w.varint32(8);
      w.int64(m.revision);
    }
  },
  decode(b) {
    return decodeWith(HashKVRequest, b);
  },
  read(r, end) {
    const m = HashKVRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.revision = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface HashKVResponse {
  header: ResponseHeader | undefined;
  hash: number;
  compactRevision: number;
  hashRevision: number;
}
export const HashKVResponse: Codec<HashKVResponse> = {
  typeName: 'etcdserverpb.HashKVResponse',
  create() {
    return { header: undefined, hash: 0, compactRevision: 0, hashRevision: 0 };
  },
  encode(m) {
    return encodeWith(HashKVResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.hash !== undefined && m.hash !== 0) {
      w.varint32(16);
      w.varint32(m.hash);
    }
    if (m.compactRevision !== undefined && m.compactRevision !== 0) {
      w.varint32(24);
      w.int64(m.compactRevision);
    }
    if (m.hashRevision !== undefined && m.hashRevision !== 0) {
      w.varint32(32);
      w.int64(m.hashRevision);
    }
  },
  decode(b) {
    return decodeWith(HashKVResponse, b);
  },
  read(r, end) {
    const m = HashKVResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.hash = r.varint32();
          break;
        case 24:
          m.compactRevision = r.int64();
          break;
        case 32:
          m.hashRevision = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface HashResponse {
  header: ResponseHeader | undefined;
  hash: number;
}
export const HashResponse: Codec<HashResponse> = {
  typeName: 'etcdserverpb.HashResponse',
  create() {
    return { header: undefined, hash: 0 };
  },
  encode(m) {
    return encodeWith(HashResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.hash !== undefined && m.hash !== 0) {
      w.varint32(16);
      w.varint32(m.hash);
    }
  },
  decode(b) {
    return decodeWith(HashResponse, b);
  },
  read(r, end) {
    const m = HashResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.hash = r.varint32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface SnapshotRequest {}
export const SnapshotRequest: Codec<SnapshotRequest> = {
  typeName: 'etcdserverpb.SnapshotRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(SnapshotRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(SnapshotRequest, b);
  },
  read(r, end) {
    const m = SnapshotRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface SnapshotResponse {
  header: ResponseHeader | undefined;
  remainingBytes: number;
  blob: Uint8Array;
  version: string;
}
export const SnapshotResponse: Codec<SnapshotResponse> = {
  typeName: 'etcdserverpb.SnapshotResponse',
  create() {
    return { header: undefined, remainingBytes: 0, blob: empty, version: '' };
  },
  encode(m) {
    return encodeWith(SnapshotResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.remainingBytes !== undefined && m.remainingBytes !== 0) {
      w.varint32(16);
      w.int64(m.remainingBytes);
    }
    if (m.blob !== undefined && m.blob.length !== 0) {
      w.varint32(26);
      w.bytes(m.blob);
    }
    if (m.version !== undefined && m.version.length !== 0) {
      w.varint32(34);
      w.string(m.version);
    }
  },
  decode(b) {
    return decodeWith(SnapshotResponse, b);
  },
  read(r, end) {
    const m = SnapshotResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.remainingBytes = r.uint64();
          break;
        case 26:
          m.blob = r.bytes();
          break;
        case 34:
          m.version = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface WatchRequest {
  createRequest: WatchCreateRequest | undefined;
  cancelRequest: WatchCancelRequest | undefined;
  progressRequest: WatchProgressRequest | undefined;
}
export const WatchRequest: Codec<WatchRequest> = {
  typeName: 'etcdserverpb.WatchRequest',
  create() {
    return { createRequest: undefined, cancelRequest: undefined, progressRequest: undefined };
  },
  encode(m) {
    return encodeWith(WatchRequest, m);
  },
  write(m, w) {
    if (m.createRequest !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      WatchCreateRequest.write(m.createRequest, w);
      w.endMessage(mark);
    }
    if (m.cancelRequest !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      WatchCancelRequest.write(m.cancelRequest, w);
      w.endMessage(mark);
    }
    if (m.progressRequest !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      WatchProgressRequest.write(m.progressRequest, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(WatchRequest, b);
  },
  read(r, end) {
    const m = WatchRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.cancelRequest = undefined;
          m.progressRequest = undefined;
          m.createRequest = WatchCreateRequest.read(r, r.messageEnd());
          break;
        case 18:
          m.createRequest = undefined;
          m.progressRequest = undefined;
          m.cancelRequest = WatchCancelRequest.read(r, r.messageEnd());
          break;
        case 26:
          m.createRequest = undefined;
          m.cancelRequest = undefined;
          m.progressRequest = WatchProgressRequest.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface WatchCreateRequest {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  startRevision: number;
  progressNotify: boolean;
  filters: WatchCreateRequest_FilterType[];
  prevKv: boolean;
  watchId: number;
  fragment: boolean;
}
export const WatchCreateRequest: Codec<WatchCreateRequest> = {
  typeName: 'etcdserverpb.WatchCreateRequest',
  create() {
    return {
      key: empty,
      rangeEnd: empty,
      startRevision: 0,
      progressNotify: false,
      filters: [],
      prevKv: false,
      watchId: 0,
      fragment: false,
    };
  },
  encode(m) {
    return encodeWith(WatchCreateRequest, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(18);
      w.bytes(m.rangeEnd);
    }
    if (m.startRevision !== undefined && m.startRevision !== 0) {
      w.varint32(24);
      w.int64(m.startRevision);
    }
    if (m.progressNotify === true) {
      w.varint32(32);
      w.varint32(m.progressNotify ? 1 : 0);
    }
    if (m.filters !== undefined && m.filters.length !== 0) {
      w.varint32(42);
      const mark = w.beginMessage();
      for (const e of m.filters) w.int64(e);
      w.endMessage(mark);
    }
    if (m.prevKv === true) {
      w.varint32(48);
      w.varint32(m.prevKv ? 1 : 0);
    }
    if (m.watchId !== undefined && m.watchId !== 0) {
      w.varint32(56);
      w.int64(m.watchId);
    }
    if (m.fragment === true) {
      w.varint32(64);
      w.varint32(m.fragment ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(WatchCreateRequest, b);
  },
  read(r, end) {
    const m = WatchCreateRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        case 18:
          m.rangeEnd = r.bytes();
          break;
        case 24:
          m.startRevision = r.int64();
          break;
        case 32:
          m.progressNotify = r.bool();
          break;
        case 40:
          m.filters.push(r.int32());
          break;
        case 42: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.filters.push(r.int32());
          break;
        }
        case 48:
          m.prevKv = r.bool();
          break;
        case 56:
          m.watchId = r.int64();
          break;
        case 64:
          m.fragment = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const WatchCreateRequest_FilterType = { NOPUT: 0, NODELETE: 1 } as const;
export type WatchCreateRequest_FilterType = number;

export interface WatchCancelRequest {
  watchId: number;
}
export const WatchCancelRequest: Codec<WatchCancelRequest> = {
  typeName: 'etcdserverpb.WatchCancelRequest',
  create() {
    return { watchId: 0 };
  },
  encode(m) {
    return encodeWith(WatchCancelRequest, m);
  },
  write(m, w) {
    if (m.watchId !== undefined && m.watchId !== 0) {
      w.varint32(8);
      w.int64(m.watchId);
    }
  },
  decode(b) {
    return decodeWith(WatchCancelRequest, b);
  },
  read(r, end) {
    const m = WatchCancelRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.watchId = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface WatchProgressRequest {}
export const WatchProgressRequest: Codec<WatchProgressRequest> = {
  typeName: 'etcdserverpb.WatchProgressRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(WatchProgressRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(WatchProgressRequest, b);
  },
  read(r, end) {
    const m = WatchProgressRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface WatchResponse {
  header: ResponseHeader | undefined;
  watchId: number;
  created: boolean;
  canceled: boolean;
  compactRevision: number;
  cancelReason: string;
  fragment: boolean;
  events: Event[];
}
export const WatchResponse: Codec<WatchResponse> = {
  typeName: 'etcdserverpb.WatchResponse',
  create() {
    return {
      header: undefined,
      watchId: 0,
      created: false,
      canceled: false,
      compactRevision: 0,
      cancelReason: '',
      fragment: false,
      events: [],
    };
  },
  encode(m) {
    return encodeWith(WatchResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.watchId !== undefined && m.watchId !== 0) {
      w.varint32(16);
      w.int64(m.watchId);
    }
    if (m.created === true) {
      w.varint32(24);
      w.varint32(m.created ? 1 : 0);
    }
    if (m.canceled === true) {
      w.varint32(32);
      w.varint32(m.canceled ? 1 : 0);
    }
    if (m.compactRevision !== undefined && m.compactRevision !== 0) {
      w.varint32(40);
      w.int64(m.compactRevision);
    }
    if (m.cancelReason !== undefined && m.cancelReason.length !== 0) {
      w.varint32(50);
      w.string(m.cancelReason);
    }
    if (m.fragment === true) {
      w.varint32(56);
      w.varint32(m.fragment ? 1 : 0);
    }
    if (m.events !== undefined)
      for (const e of m.events) {
        w.varint32(90);
        const mark = w.beginMessage();
        Event.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(WatchResponse, b);
  },
  read(r, end) {
    const m = WatchResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.watchId = r.int64();
          break;
        case 24:
          m.created = r.bool();
          break;
        case 32:
          m.canceled = r.bool();
          break;
        case 40:
          m.compactRevision = r.int64();
          break;
        case 50:
          m.cancelReason = r.string();
          break;
        case 56:
          m.fragment = r.bool();
          break;
        case 90:
          m.events.push(Event.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseGrantRequest {
  TTL: number;
  ID: bigint;
}
export const LeaseGrantRequest: Codec<LeaseGrantRequest> = {
  typeName: 'etcdserverpb.LeaseGrantRequest',
  create() {
    return { TTL: 0, ID: 0n };
  },
  encode(m) {
    return encodeWith(LeaseGrantRequest, m);
  },
  write(m, w) {
    if (m.TTL !== undefined && m.TTL !== 0) {
      w.varint32(8);
      w.int64(m.TTL);
    }
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(16);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(LeaseGrantRequest, b);
  },
  read(r, end) {
    const m = LeaseGrantRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.TTL = r.int64();
          break;
        case 16:
          m.ID = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseGrantResponse {
  header: ResponseHeader | undefined;
  ID: bigint;
  TTL: number;
  error: string;
}
export const LeaseGrantResponse: Codec<LeaseGrantResponse> = {
  typeName: 'etcdserverpb.LeaseGrantResponse',
  create() {
    return { header: undefined, ID: 0n, TTL: 0, error: '' };
  },
  encode(m) {
    return encodeWith(LeaseGrantResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(16);
      w.bigint64(m.ID);
    }
    if (m.TTL !== undefined && m.TTL !== 0) {
      w.varint32(24);
      w.int64(m.TTL);
    }
    if (m.error !== undefined && m.error.length !== 0) {
      w.varint32(34);
      w.string(m.error);
    }
  },
  decode(b) {
    return decodeWith(LeaseGrantResponse, b);
  },
  read(r, end) {
    const m = LeaseGrantResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.ID = r.bigInt64();
          break;
        case 24:
          m.TTL = r.int64();
          break;
        case 34:
          m.error = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseRevokeRequest {
  ID: bigint;
}
export const LeaseRevokeRequest: Codec<LeaseRevokeRequest> = {
  typeName: 'etcdserverpb.LeaseRevokeRequest',
  create() {
    return { ID: 0n };
  },
  encode(m) {
    return encodeWith(LeaseRevokeRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(LeaseRevokeRequest, b);
  },
  read(r, end) {
    const m = LeaseRevokeRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseRevokeResponse {
  header: ResponseHeader | undefined;
}
export const LeaseRevokeResponse: Codec<LeaseRevokeResponse> = {
  typeName: 'etcdserverpb.LeaseRevokeResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(LeaseRevokeResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(LeaseRevokeResponse, b);
  },
  read(r, end) {
    const m = LeaseRevokeResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseCheckpoint {
  ID: bigint;
  remainingTTL: number;
}
export const LeaseCheckpoint: Codec<LeaseCheckpoint> = {
  typeName: 'etcdserverpb.LeaseCheckpoint',
  create() {
    return { ID: 0n, remainingTTL: 0 };
  },
  encode(m) {
    return encodeWith(LeaseCheckpoint, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.remainingTTL !== undefined && m.remainingTTL !== 0) {
      w.varint32(16);
      w.int64(m.remainingTTL);
    }
  },
  decode(b) {
    return decodeWith(LeaseCheckpoint, b);
  },
  read(r, end) {
    const m = LeaseCheckpoint.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        case 16:
          m.remainingTTL = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseCheckpointRequest {
  checkpoints: LeaseCheckpoint[];
}
export const LeaseCheckpointRequest: Codec<LeaseCheckpointRequest> = {
  typeName: 'etcdserverpb.LeaseCheckpointRequest',
  create() {
    return { checkpoints: [] };
  },
  encode(m) {
    return encodeWith(LeaseCheckpointRequest, m);
  },
  write(m, w) {
    if (m.checkpoints !== undefined)
      for (const e of m.checkpoints) {
        w.varint32(10);
        const mark = w.beginMessage();
        LeaseCheckpoint.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(LeaseCheckpointRequest, b);
  },
  read(r, end) {
    const m = LeaseCheckpointRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.checkpoints.push(LeaseCheckpoint.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseCheckpointResponse {
  header: ResponseHeader | undefined;
}
export const LeaseCheckpointResponse: Codec<LeaseCheckpointResponse> = {
  typeName: 'etcdserverpb.LeaseCheckpointResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(LeaseCheckpointResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(LeaseCheckpointResponse, b);
  },
  read(r, end) {
    const m = LeaseCheckpointResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseKeepAliveRequest {
  ID: bigint;
}
export const LeaseKeepAliveRequest: Codec<LeaseKeepAliveRequest> = {
  typeName: 'etcdserverpb.LeaseKeepAliveRequest',
  create() {
    return { ID: 0n };
  },
  encode(m) {
    return encodeWith(LeaseKeepAliveRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(LeaseKeepAliveRequest, b);
  },
  read(r, end) {
    const m = LeaseKeepAliveRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseKeepAliveResponse {
  header: ResponseHeader | undefined;
  ID: bigint;
  TTL: number;
}
export const LeaseKeepAliveResponse: Codec<LeaseKeepAliveResponse> = {
  typeName: 'etcdserverpb.LeaseKeepAliveResponse',
  create() {
    return { header: undefined, ID: 0n, TTL: 0 };
  },
  encode(m) {
    return encodeWith(LeaseKeepAliveResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(16);
      w.bigint64(m.ID);
    }
    if (m.TTL !== undefined && m.TTL !== 0) {
      w.varint32(24);
      w.int64(m.TTL);
    }
  },
  decode(b) {
    return decodeWith(LeaseKeepAliveResponse, b);
  },
  read(r, end) {
    const m = LeaseKeepAliveResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.ID = r.bigInt64();
          break;
        case 24:
          m.TTL = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseTimeToLiveRequest {
  ID: bigint;
  keys: boolean;
}
export const LeaseTimeToLiveRequest: Codec<LeaseTimeToLiveRequest> = {
  typeName: 'etcdserverpb.LeaseTimeToLiveRequest',
  create() {
    return { ID: 0n, keys: false };
  },
  encode(m) {
    return encodeWith(LeaseTimeToLiveRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.keys === true) {
      w.varint32(16);
      w.varint32(m.keys ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(LeaseTimeToLiveRequest, b);
  },
  read(r, end) {
    const m = LeaseTimeToLiveRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        case 16:
          m.keys = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseTimeToLiveResponse {
  header: ResponseHeader | undefined;
  ID: bigint;
  TTL: number;
  grantedTTL: number;
  keys: Uint8Array[];
}
export const LeaseTimeToLiveResponse: Codec<LeaseTimeToLiveResponse> = {
  typeName: 'etcdserverpb.LeaseTimeToLiveResponse',
  create() {
    return { header: undefined, ID: 0n, TTL: 0, grantedTTL: 0, keys: [] };
  },
  encode(m) {
    return encodeWith(LeaseTimeToLiveResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(16);
      w.bigint64(m.ID);
    }
    if (m.TTL !== undefined && m.TTL !== 0) {
      w.varint32(24);
      w.int64(m.TTL);
    }
    if (m.grantedTTL !== undefined && m.grantedTTL !== 0) {
      w.varint32(32);
      w.int64(m.grantedTTL);
    }
    if (m.keys !== undefined)
      for (const e of m.keys) {
        w.varint32(42);
        w.bytes(e);
      }
  },
  decode(b) {
    return decodeWith(LeaseTimeToLiveResponse, b);
  },
  read(r, end) {
    const m = LeaseTimeToLiveResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.ID = r.bigInt64();
          break;
        case 24:
          m.TTL = r.int64();
          break;
        case 32:
          m.grantedTTL = r.int64();
          break;
        case 42:
          m.keys.push(r.bytes());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseLeasesRequest {}
export const LeaseLeasesRequest: Codec<LeaseLeasesRequest> = {
  typeName: 'etcdserverpb.LeaseLeasesRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(LeaseLeasesRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(LeaseLeasesRequest, b);
  },
  read(r, end) {
    const m = LeaseLeasesRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseStatus {
  ID: bigint;
}
export const LeaseStatus: Codec<LeaseStatus> = {
  typeName: 'etcdserverpb.LeaseStatus',
  create() {
    return { ID: 0n };
  },
  encode(m) {
    return encodeWith(LeaseStatus, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(LeaseStatus, b);
  },
  read(r, end) {
    const m = LeaseStatus.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseLeasesResponse {
  header: ResponseHeader | undefined;
  leases: LeaseStatus[];
}
export const LeaseLeasesResponse: Codec<LeaseLeasesResponse> = {
  typeName: 'etcdserverpb.LeaseLeasesResponse',
  create() {
    return { header: undefined, leases: [] };
  },
  encode(m) {
    return encodeWith(LeaseLeasesResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.leases !== undefined)
      for (const e of m.leases) {
        w.varint32(18);
        const mark = w.beginMessage();
        LeaseStatus.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(LeaseLeasesResponse, b);
  },
  read(r, end) {
    const m = LeaseLeasesResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.leases.push(LeaseStatus.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Member {
  ID: bigint;
  name: string;
  peerURLs: string[];
  clientURLs: string[];
  isLearner: boolean;
}
export const Member: Codec<Member> = {
  typeName: 'etcdserverpb.Member',
  create() {
    return { ID: 0n, name: '', peerURLs: [], clientURLs: [], isLearner: false };
  },
  encode(m) {
    return encodeWith(Member, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(18);
      w.string(m.name);
    }
    if (m.peerURLs !== undefined)
      for (const e of m.peerURLs) {
        w.varint32(26);
        w.string(e);
      }
    if (m.clientURLs !== undefined)
      for (const e of m.clientURLs) {
        w.varint32(34);
        w.string(e);
      }
    if (m.isLearner === true) {
      w.varint32(40);
      w.varint32(m.isLearner ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(Member, b);
  },
  read(r, end) {
    const m = Member.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        case 18:
          m.name = r.string();
          break;
        case 26:
          m.peerURLs.push(r.string());
          break;
        case 34:
          m.clientURLs.push(r.string());
          break;
        case 40:
          m.isLearner = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberAddRequest {
  peerURLs: string[];
  isLearner: boolean;
}
export const MemberAddRequest: Codec<MemberAddRequest> = {
  typeName: 'etcdserverpb.MemberAddRequest',
  create() {
    return { peerURLs: [], isLearner: false };
  },
  encode(m) {
    return encodeWith(MemberAddRequest, m);
  },
  write(m, w) {
    if (m.peerURLs !== undefined)
      for (const e of m.peerURLs) {
        w.varint32(10);
        w.string(e);
      }
    if (m.isLearner === true) {
      w.varint32(16);
      w.varint32(m.isLearner ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(MemberAddRequest, b);
  },
  read(r, end) {
    const m = MemberAddRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.peerURLs.push(r.string());
          break;
        case 16:
          m.isLearner = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberAddResponse {
  header: ResponseHeader | undefined;
  member: Member | undefined;
  members: Member[];
}
export const MemberAddResponse: Codec<MemberAddResponse> = {
  typeName: 'etcdserverpb.MemberAddResponse',
  create() {
    return { header: undefined, member: undefined, members: [] };
  },
  encode(m) {
    return encodeWith(MemberAddResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.member !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      Member.write(m.member, w);
      w.endMessage(mark);
    }
    if (m.members !== undefined)
      for (const e of m.members) {
        w.varint32(26);
        const mark = w.beginMessage();
        Member.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MemberAddResponse, b);
  },
  read(r, end) {
    const m = MemberAddResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.member = Member.read(r, r.messageEnd());
          break;
        case 26:
          m.members.push(Member.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberRemoveRequest {
  ID: bigint;
}
export const MemberRemoveRequest: Codec<MemberRemoveRequest> = {
  typeName: 'etcdserverpb.MemberRemoveRequest',
  create() {
    return { ID: 0n };
  },
  encode(m) {
    return encodeWith(MemberRemoveRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(MemberRemoveRequest, b);
  },
  read(r, end) {
    const m = MemberRemoveRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberRemoveResponse {
  header: ResponseHeader | undefined;
  members: Member[];
}
export const MemberRemoveResponse: Codec<MemberRemoveResponse> = {
  typeName: 'etcdserverpb.MemberRemoveResponse',
  create() {
    return { header: undefined, members: [] };
  },
  encode(m) {
    return encodeWith(MemberRemoveResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.members !== undefined)
      for (const e of m.members) {
        w.varint32(18);
        const mark = w.beginMessage();
        Member.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MemberRemoveResponse, b);
  },
  read(r, end) {
    const m = MemberRemoveResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.members.push(Member.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberUpdateRequest {
  ID: bigint;
  peerURLs: string[];
}
export const MemberUpdateRequest: Codec<MemberUpdateRequest> = {
  typeName: 'etcdserverpb.MemberUpdateRequest',
  create() {
    return { ID: 0n, peerURLs: [] };
  },
  encode(m) {
    return encodeWith(MemberUpdateRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.peerURLs !== undefined)
      for (const e of m.peerURLs) {
        w.varint32(18);
        w.string(e);
      }
  },
  decode(b) {
    return decodeWith(MemberUpdateRequest, b);
  },
  read(r, end) {
    const m = MemberUpdateRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        case 18:
          m.peerURLs.push(r.string());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberUpdateResponse {
  header: ResponseHeader | undefined;
  members: Member[];
}
export const MemberUpdateResponse: Codec<MemberUpdateResponse> = {
  typeName: 'etcdserverpb.MemberUpdateResponse',
  create() {
    return { header: undefined, members: [] };
  },
  encode(m) {
    return encodeWith(MemberUpdateResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.members !== undefined)
      for (const e of m.members) {
        w.varint32(18);
        const mark = w.beginMessage();
        Member.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MemberUpdateResponse, b);
  },
  read(r, end) {
    const m = MemberUpdateResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.members.push(Member.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberListRequest {
  linearizable: boolean;
}
export const MemberListRequest: Codec<MemberListRequest> = {
  typeName: 'etcdserverpb.MemberListRequest',
  create() {
    return { linearizable: false };
  },
  encode(m) {
    return encodeWith(MemberListRequest, m);
  },
  write(m, w) {
    if (m.linearizable === true) {
      w.varint32(8);
      w.varint32(m.linearizable ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(MemberListRequest, b);
  },
  read(r, end) {
    const m = MemberListRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.linearizable = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberListResponse {
  header: ResponseHeader | undefined;
  members: Member[];
}
export const MemberListResponse: Codec<MemberListResponse> = {
  typeName: 'etcdserverpb.MemberListResponse',
  create() {
    return { header: undefined, members: [] };
  },
  encode(m) {
    return encodeWith(MemberListResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.members !== undefined)
      for (const e of m.members) {
        w.varint32(18);
        const mark = w.beginMessage();
        Member.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MemberListResponse, b);
  },
  read(r, end) {
    const m = MemberListResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.members.push(Member.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberPromoteRequest {
  ID: bigint;
}
export const MemberPromoteRequest: Codec<MemberPromoteRequest> = {
  typeName: 'etcdserverpb.MemberPromoteRequest',
  create() {
    return { ID: 0n };
  },
  encode(m) {
    return encodeWith(MemberPromoteRequest, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
  },
  decode(b) {
    return decodeWith(MemberPromoteRequest, b);
  },
  read(r, end) {
    const m = MemberPromoteRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigUint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MemberPromoteResponse {
  header: ResponseHeader | undefined;
  members: Member[];
}
export const MemberPromoteResponse: Codec<MemberPromoteResponse> = {
  typeName: 'etcdserverpb.MemberPromoteResponse',
  create() {
    return { header: undefined, members: [] };
  },
  encode(m) {
    return encodeWith(MemberPromoteResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.members !== undefined)
      for (const e of m.members) {
        w.varint32(18);
        const mark = w.beginMessage();
        Member.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MemberPromoteResponse, b);
  },
  read(r, end) {
    const m = MemberPromoteResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.members.push(Member.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DefragmentRequest {}
export const DefragmentRequest: Codec<DefragmentRequest> = {
  typeName: 'etcdserverpb.DefragmentRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(DefragmentRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(DefragmentRequest, b);
  },
  read(r, end) {
    const m = DefragmentRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DefragmentResponse {
  header: ResponseHeader | undefined;
}
export const DefragmentResponse: Codec<DefragmentResponse> = {
  typeName: 'etcdserverpb.DefragmentResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(DefragmentResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(DefragmentResponse, b);
  },
  read(r, end) {
    const m = DefragmentResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MoveLeaderRequest {
  targetID: bigint;
}
export const MoveLeaderRequest: Codec<MoveLeaderRequest> = {
  typeName: 'etcdserverpb.MoveLeaderRequest',
  create() {
    return { targetID: 0n };
  },
  encode(m) {
    return encodeWith(MoveLeaderRequest, m);
  },
  write(m, w) {
    if (m.targetID !== undefined && m.targetID !== 0n) {
      w.varint32(8);
      w.bigint64(m.targetID);
    }
  },
  decode(b) {
    return decodeWith(MoveLeaderRequest, b);
  },
  read(r, end) {
    const m = MoveLeaderRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.targetID = r.bigUint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface MoveLeaderResponse {
  header: ResponseHeader | undefined;
}
export const MoveLeaderResponse: Codec<MoveLeaderResponse> = {
  typeName: 'etcdserverpb.MoveLeaderResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(MoveLeaderResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(MoveLeaderResponse, b);
  },
  read(r, end) {
    const m = MoveLeaderResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const AlarmType = { NONE: 0, NOSPACE: 1, CORRUPT: 2 } as const;
export type AlarmType = number;

export interface AlarmRequest {
  action: AlarmRequest_AlarmAction;
  memberID: bigint;
  alarm: AlarmType;
}
export const AlarmRequest: Codec<AlarmRequest> = {
  typeName: 'etcdserverpb.AlarmRequest',
  create() {
    return { action: 0, memberID: 0n, alarm: 0 };
  },
  encode(m) {
    return encodeWith(AlarmRequest, m);
  },
  write(m, w) {
    if (m.action !== undefined && m.action !== 0) {
      w.varint32(8);
      w.int64(m.action);
    }
    if (m.memberID !== undefined && m.memberID !== 0n) {
      w.varint32(16);
      w.bigint64(m.memberID);
    }
    if (m.alarm !== undefined && m.alarm !== 0) {
      w.varint32(24);
      w.int64(m.alarm);
    }
  },
  decode(b) {
    return decodeWith(AlarmRequest, b);
  },
  read(r, end) {
    const m = AlarmRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.action = r.int32();
          break;
        case 16:
          m.memberID = r.bigUint64();
          break;
        case 24:
          m.alarm = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const AlarmRequest_AlarmAction = { GET: 0, ACTIVATE: 1, DEACTIVATE: 2 } as const;
export type AlarmRequest_AlarmAction = number;

export interface AlarmMember {
  memberID: bigint;
  alarm: AlarmType;
}
export const AlarmMember: Codec<AlarmMember> = {
  typeName: 'etcdserverpb.AlarmMember',
  create() {
    return { memberID: 0n, alarm: 0 };
  },
  encode(m) {
    return encodeWith(AlarmMember, m);
  },
  write(m, w) {
    if (m.memberID !== undefined && m.memberID !== 0n) {
      w.varint32(8);
      w.bigint64(m.memberID);
    }
    if (m.alarm !== undefined && m.alarm !== 0) {
      w.varint32(16);
      w.int64(m.alarm);
    }
  },
  decode(b) {
    return decodeWith(AlarmMember, b);
  },
  read(r, end) {
    const m = AlarmMember.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.memberID = r.bigUint64();
          break;
        case 16:
          m.alarm = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AlarmResponse {
  header: ResponseHeader | undefined;
  alarms: AlarmMember[];
}
export const AlarmResponse: Codec<AlarmResponse> = {
  typeName: 'etcdserverpb.AlarmResponse',
  create() {
    return { header: undefined, alarms: [] };
  },
  encode(m) {
    return encodeWith(AlarmResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.alarms !== undefined)
      for (const e of m.alarms) {
        w.varint32(18);
        const mark = w.beginMessage();
        AlarmMember.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(AlarmResponse, b);
  },
  read(r, end) {
    const m = AlarmResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.alarms.push(AlarmMember.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DowngradeRequest {
  action: DowngradeRequest_DowngradeAction;
  version: string;
}
export const DowngradeRequest: Codec<DowngradeRequest> = {
  typeName: 'etcdserverpb.DowngradeRequest',
  create() {
    return { action: 0, version: '' };
  },
  encode(m) {
    return encodeWith(DowngradeRequest, m);
  },
  write(m, w) {
    if (m.action !== undefined && m.action !== 0) {
      w.varint32(8);
      w.int64(m.action);
    }
    if (m.version !== undefined && m.version.length !== 0) {
      w.varint32(18);
      w.string(m.version);
    }
  },
  decode(b) {
    return decodeWith(DowngradeRequest, b);
  },
  read(r, end) {
    const m = DowngradeRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.action = r.int32();
          break;
        case 18:
          m.version = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const DowngradeRequest_DowngradeAction = { VALIDATE: 0, ENABLE: 1, CANCEL: 2 } as const;
export type DowngradeRequest_DowngradeAction = number;

export interface DowngradeResponse {
  header: ResponseHeader | undefined;
  version: string;
}
export const DowngradeResponse: Codec<DowngradeResponse> = {
  typeName: 'etcdserverpb.DowngradeResponse',
  create() {
    return { header: undefined, version: '' };
  },
  encode(m) {
    return encodeWith(DowngradeResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.version !== undefined && m.version.length !== 0) {
      w.varint32(18);
      w.string(m.version);
    }
  },
  decode(b) {
    return decodeWith(DowngradeResponse, b);
  },
  read(r, end) {
    const m = DowngradeResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.version = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DowngradeVersionTestRequest {
  ver: string;
}
export const DowngradeVersionTestRequest: Codec<DowngradeVersionTestRequest> = {
  typeName: 'etcdserverpb.DowngradeVersionTestRequest',
  create() {
    return { ver: '' };
  },
  encode(m) {
    return encodeWith(DowngradeVersionTestRequest, m);
  },
  write(m, w) {
    if (m.ver !== undefined && m.ver.length !== 0) {
      w.varint32(10);
      w.string(m.ver);
    }
  },
  decode(b) {
    return decodeWith(DowngradeVersionTestRequest, b);
  },
  read(r, end) {
    const m = DowngradeVersionTestRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.ver = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface StatusRequest {}
export const StatusRequest: Codec<StatusRequest> = {
  typeName: 'etcdserverpb.StatusRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(StatusRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(StatusRequest, b);
  },
  read(r, end) {
    const m = StatusRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface StatusResponse {
  header: ResponseHeader | undefined;
  version: string;
  dbSize: number;
  leader: bigint;
  raftIndex: number;
  raftTerm: number;
  raftAppliedIndex: number;
  errors: string[];
  dbSizeInUse: number;
  isLearner: boolean;
  storageVersion: string;
  dbSizeQuota: number;
  downgradeInfo: DowngradeInfo | undefined;
}
export const StatusResponse: Codec<StatusResponse> = {
  typeName: 'etcdserverpb.StatusResponse',
  create() {
    return {
      header: undefined,
      version: '',
      dbSize: 0,
      leader: 0n,
      raftIndex: 0,
      raftTerm: 0,
      raftAppliedIndex: 0,
      errors: [],
      dbSizeInUse: 0,
      isLearner: false,
      storageVersion: '',
      dbSizeQuota: 0,
      downgradeInfo: undefined,
    };
  },
  encode(m) {
    return encodeWith(StatusResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.version !== undefined && m.version.length !== 0) {
      w.varint32(18);
      w.string(m.version);
    }
    if (m.dbSize !== undefined && m.dbSize !== 0) {
      w.varint32(24);
      w.int64(m.dbSize);
    }
    if (m.leader !== undefined && m.leader !== 0n) {
      w.varint32(32);
      w.bigint64(m.leader);
    }
    if (m.raftIndex !== undefined && m.raftIndex !== 0) {
      w.varint32(40);
      w.int64(m.raftIndex);
    }
    if (m.raftTerm !== undefined && m.raftTerm !== 0) {
      w.varint32(48);
      w.int64(m.raftTerm);
    }
    if (m.raftAppliedIndex !== undefined && m.raftAppliedIndex !== 0) {
      w.varint32(56);
      w.int64(m.raftAppliedIndex);
    }
    if (m.errors !== undefined)
      for (const e of m.errors) {
        w.varint32(66);
        w.string(e);
      }
    if (m.dbSizeInUse !== undefined && m.dbSizeInUse !== 0) {
      w.varint32(72);
      w.int64(m.dbSizeInUse);
    }
    if (m.isLearner === true) {
      w.varint32(80);
      w.varint32(m.isLearner ? 1 : 0);
    }
    if (m.storageVersion !== undefined && m.storageVersion.length !== 0) {
      w.varint32(90);
      w.string(m.storageVersion);
    }
    if (m.dbSizeQuota !== undefined && m.dbSizeQuota !== 0) {
      w.varint32(96);
      w.int64(m.dbSizeQuota);
    }
    if (m.downgradeInfo !== undefined) {
      w.varint32(106);
      const mark = w.beginMessage();
      DowngradeInfo.write(m.downgradeInfo, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(StatusResponse, b);
  },
  read(r, end) {
    const m = StatusResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.version = r.string();
          break;
        case 24:
          m.dbSize = r.int64();
          break;
        case 32:
          m.leader = r.bigUint64();
          break;
        case 40:
          m.raftIndex = r.uint64();
          break;
        case 48:
          m.raftTerm = r.uint64();
          break;
        case 56:
          m.raftAppliedIndex = r.uint64();
          break;
        case 66:
          m.errors.push(r.string());
          break;
        case 72:
          m.dbSizeInUse = r.int64();
          break;
        case 80:
          m.isLearner = r.bool();
          break;
        case 90:
          m.storageVersion = r.string();
          break;
        case 96:
          m.dbSizeQuota = r.int64();
          break;
        case 106:
          m.downgradeInfo = DowngradeInfo.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DowngradeInfo {
  enabled: boolean;
  targetVersion: string;
}
export const DowngradeInfo: Codec<DowngradeInfo> = {
  typeName: 'etcdserverpb.DowngradeInfo',
  create() {
    return { enabled: false, targetVersion: '' };
  },
  encode(m) {
    return encodeWith(DowngradeInfo, m);
  },
  write(m, w) {
    if (m.enabled === true) {
      w.varint32(8);
      w.varint32(m.enabled ? 1 : 0);
    }
    if (m.targetVersion !== undefined && m.targetVersion.length !== 0) {
      w.varint32(18);
      w.string(m.targetVersion);
    }
  },
  decode(b) {
    return decodeWith(DowngradeInfo, b);
  },
  read(r, end) {
    const m = DowngradeInfo.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.enabled = r.bool();
          break;
        case 18:
          m.targetVersion = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthEnableRequest {}
export const AuthEnableRequest: Codec<AuthEnableRequest> = {
  typeName: 'etcdserverpb.AuthEnableRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(AuthEnableRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(AuthEnableRequest, b);
  },
  read(r, end) {
    const m = AuthEnableRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthDisableRequest {}
export const AuthDisableRequest: Codec<AuthDisableRequest> = {
  typeName: 'etcdserverpb.AuthDisableRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(AuthDisableRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(AuthDisableRequest, b);
  },
  read(r, end) {
    const m = AuthDisableRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthStatusRequest {}
export const AuthStatusRequest: Codec<AuthStatusRequest> = {
  typeName: 'etcdserverpb.AuthStatusRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(AuthStatusRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(AuthStatusRequest, b);
  },
  read(r, end) {
    const m = AuthStatusRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthenticateRequest {
  name: string;
  password: string;
}
export const AuthenticateRequest: Codec<AuthenticateRequest> = {
  typeName: 'etcdserverpb.AuthenticateRequest',
  create() {
    return { name: '', password: '' };
  },
  encode(m) {
    return encodeWith(AuthenticateRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.password !== undefined && m.password.length !== 0) {
      w.varint32(18);
      w.string(m.password);
    }
  },
  decode(b) {
    return decodeWith(AuthenticateRequest, b);
  },
  read(r, end) {
    const m = AuthenticateRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.password = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserAddRequest {
  name: string;
  password: string;
  options: UserAddOptions | undefined;
  hashedPassword: string;
}
export const AuthUserAddRequest: Codec<AuthUserAddRequest> = {
  typeName: 'etcdserverpb.AuthUserAddRequest',
  create() {
    return { name: '', password: '', options: undefined, hashedPassword: '' };
  },
  encode(m) {
    return encodeWith(AuthUserAddRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.password !== undefined && m.password.length !== 0) {
      w.varint32(18);
      w.string(m.password);
    }
    if (m.options !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      UserAddOptions.write(m.options, w);
      w.endMessage(mark);
    }
    if (m.hashedPassword !== undefined && m.hashedPassword.length !== 0) {
      w.varint32(34);
      w.string(m.hashedPassword);
    }
  },
  decode(b) {
    return decodeWith(AuthUserAddRequest, b);
  },
  read(r, end) {
    const m = AuthUserAddRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.password = r.string();
          break;
        case 26:
          m.options = UserAddOptions.read(r, r.messageEnd());
          break;
        case 34:
          m.hashedPassword = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserGetRequest {
  name: string;
}
export const AuthUserGetRequest: Codec<AuthUserGetRequest> = {
  typeName: 'etcdserverpb.AuthUserGetRequest',
  create() {
    return { name: '' };
  },
  encode(m) {
    return encodeWith(AuthUserGetRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
  },
  decode(b) {
    return decodeWith(AuthUserGetRequest, b);
  },
  read(r, end) {
    const m = AuthUserGetRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserDeleteRequest {
  name: string;
}
export const AuthUserDeleteRequest: Codec<AuthUserDeleteRequest> = {
  typeName: 'etcdserverpb.AuthUserDeleteRequest',
  create() {
    return { name: '' };
  },
  encode(m) {
    return encodeWith(AuthUserDeleteRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
  },
  decode(b) {
    return decodeWith(AuthUserDeleteRequest, b);
  },
  read(r, end) {
    const m = AuthUserDeleteRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserChangePasswordRequest {
  name: string;
  password: string;
  hashedPassword: string;
}
export const AuthUserChangePasswordRequest: Codec<AuthUserChangePasswordRequest> = {
  typeName: 'etcdserverpb.AuthUserChangePasswordRequest',
  create() {
    return { name: '', password: '', hashedPassword: '' };
  },
  encode(m) {
    return encodeWith(AuthUserChangePasswordRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.password !== undefined && m.password.length !== 0) {
      w.varint32(18);
      w.string(m.password);
    }
    if (m.hashedPassword !== undefined && m.hashedPassword.length !== 0) {
      w.varint32(26);
      w.string(m.hashedPassword);
    }
  },
  decode(b) {
    return decodeWith(AuthUserChangePasswordRequest, b);
  },
  read(r, end) {
    const m = AuthUserChangePasswordRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.password = r.string();
          break;
        case 26:
          m.hashedPassword = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserGrantRoleRequest {
  user: string;
  role: string;
}
export const AuthUserGrantRoleRequest: Codec<AuthUserGrantRoleRequest> = {
  typeName: 'etcdserverpb.AuthUserGrantRoleRequest',
  create() {
    return { user: '', role: '' };
  },
  encode(m) {
    return encodeWith(AuthUserGrantRoleRequest, m);
  },
  write(m, w) {
    if (m.user !== undefined && m.user.length !== 0) {
      w.varint32(10);
      w.string(m.user);
    }
    if (m.role !== undefined && m.role.length !== 0) {
      w.varint32(18);
      w.string(m.role);
    }
  },
  decode(b) {
    return decodeWith(AuthUserGrantRoleRequest, b);
  },
  read(r, end) {
    const m = AuthUserGrantRoleRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.user = r.string();
          break;
        case 18:
          m.role = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserRevokeRoleRequest {
  name: string;
  role: string;
}
export const AuthUserRevokeRoleRequest: Codec<AuthUserRevokeRoleRequest> = {
  typeName: 'etcdserverpb.AuthUserRevokeRoleRequest',
  create() {
    return { name: '', role: '' };
  },
  encode(m) {
    return encodeWith(AuthUserRevokeRoleRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.role !== undefined && m.role.length !== 0) {
      w.varint32(18);
      w.string(m.role);
    }
  },
  decode(b) {
    return decodeWith(AuthUserRevokeRoleRequest, b);
  },
  read(r, end) {
    const m = AuthUserRevokeRoleRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.role = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleAddRequest {
  name: string;
}
export const AuthRoleAddRequest: Codec<AuthRoleAddRequest> = {
  typeName: 'etcdserverpb.AuthRoleAddRequest',
  create() {
    return { name: '' };
  },
  encode(m) {
    return encodeWith(AuthRoleAddRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleAddRequest, b);
  },
  read(r, end) {
    const m = AuthRoleAddRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleGetRequest {
  role: string;
}
export const AuthRoleGetRequest: Codec<AuthRoleGetRequest> = {
  typeName: 'etcdserverpb.AuthRoleGetRequest',
  create() {
    return { role: '' };
  },
  encode(m) {
    return encodeWith(AuthRoleGetRequest, m);
  },
  write(m, w) {
    if (m.role !== undefined && m.role.length !== 0) {
      w.varint32(10);
      w.string(m.role);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleGetRequest, b);
  },
  read(r, end) {
    const m = AuthRoleGetRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.role = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserListRequest {}
export const AuthUserListRequest: Codec<AuthUserListRequest> = {
  typeName: 'etcdserverpb.AuthUserListRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(AuthUserListRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(AuthUserListRequest, b);
  },
  read(r, end) {
    const m = AuthUserListRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleListRequest {}
export const AuthRoleListRequest: Codec<AuthRoleListRequest> = {
  typeName: 'etcdserverpb.AuthRoleListRequest',
  create() {
    return {};
  },
  encode(m) {
    return encodeWith(AuthRoleListRequest, m);
  },
  write(m, w) {
    void m;
    void w;
  },
  decode(b) {
    return decodeWith(AuthRoleListRequest, b);
  },
  read(r, end) {
    const m = AuthRoleListRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleDeleteRequest {
  role: string;
}
export const AuthRoleDeleteRequest: Codec<AuthRoleDeleteRequest> = {
  typeName: 'etcdserverpb.AuthRoleDeleteRequest',
  create() {
    return { role: '' };
  },
  encode(m) {
    return encodeWith(AuthRoleDeleteRequest, m);
  },
  write(m, w) {
    if (m.role !== undefined && m.role.length !== 0) {
      w.varint32(10);
      w.string(m.role);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleDeleteRequest, b);
  },
  read(r, end) {
    const m = AuthRoleDeleteRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.role = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleGrantPermissionRequest {
  name: string;
  perm: Permission | undefined;
}
export const AuthRoleGrantPermissionRequest: Codec<AuthRoleGrantPermissionRequest> = {
  typeName: 'etcdserverpb.AuthRoleGrantPermissionRequest',
  create() {
    return { name: '', perm: undefined };
  },
  encode(m) {
    return encodeWith(AuthRoleGrantPermissionRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.perm !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      Permission.write(m.perm, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleGrantPermissionRequest, b);
  },
  read(r, end) {
    const m = AuthRoleGrantPermissionRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.perm = Permission.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleRevokePermissionRequest {
  role: string;
  key: Uint8Array;
  rangeEnd: Uint8Array;
}
export const AuthRoleRevokePermissionRequest: Codec<AuthRoleRevokePermissionRequest> = {
  typeName: 'etcdserverpb.AuthRoleRevokePermissionRequest',
  create() {
    return { role: '', key: empty, rangeEnd: empty };
  },
  encode(m) {
    return encodeWith(AuthRoleRevokePermissionRequest, m);
  },
  write(m, w) {
    if (m.role !== undefined && m.role.length !== 0) {
      w.varint32(10);
      w.string(m.role);
    }
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(18);
      w.bytes(m.key);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(26);
      w.bytes(m.rangeEnd);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleRevokePermissionRequest, b);
  },
  read(r, end) {
    const m = AuthRoleRevokePermissionRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.role = r.string();
          break;
        case 18:
          m.key = r.bytes();
          break;
        case 26:
          m.rangeEnd = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthEnableResponse {
  header: ResponseHeader | undefined;
}
export const AuthEnableResponse: Codec<AuthEnableResponse> = {
  typeName: 'etcdserverpb.AuthEnableResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthEnableResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthEnableResponse, b);
  },
  read(r, end) {
    const m = AuthEnableResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthDisableResponse {
  header: ResponseHeader | undefined;
}
export const AuthDisableResponse: Codec<AuthDisableResponse> = {
  typeName: 'etcdserverpb.AuthDisableResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthDisableResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthDisableResponse, b);
  },
  read(r, end) {
    const m = AuthDisableResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthStatusResponse {
  header: ResponseHeader | undefined;
  enabled: boolean;
  authRevision: number;
}
export const AuthStatusResponse: Codec<AuthStatusResponse> = {
  typeName: 'etcdserverpb.AuthStatusResponse',
  create() {
    return { header: undefined, enabled: false, authRevision: 0 };
  },
  encode(m) {
    return encodeWith(AuthStatusResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.enabled === true) {
      w.varint32(16);
      w.varint32(m.enabled ? 1 : 0);
    }
    if (m.authRevision !== undefined && m.authRevision !== 0) {
      w.varint32(24);
      w.int64(m.authRevision);
    }
  },
  decode(b) {
    return decodeWith(AuthStatusResponse, b);
  },
  read(r, end) {
    const m = AuthStatusResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 16:
          m.enabled = r.bool();
          break;
        case 24:
          m.authRevision = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthenticateResponse {
  header: ResponseHeader | undefined;
  token: string;
}
export const AuthenticateResponse: Codec<AuthenticateResponse> = {
  typeName: 'etcdserverpb.AuthenticateResponse',
  create() {
    return { header: undefined, token: '' };
  },
  encode(m) {
    return encodeWith(AuthenticateResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.token !== undefined && m.token.length !== 0) {
      w.varint32(18);
      w.string(m.token);
    }
  },
  decode(b) {
    return decodeWith(AuthenticateResponse, b);
  },
  read(r, end) {
    const m = AuthenticateResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.token = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserAddResponse {
  header: ResponseHeader | undefined;
}
export const AuthUserAddResponse: Codec<AuthUserAddResponse> = {
  typeName: 'etcdserverpb.AuthUserAddResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthUserAddResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthUserAddResponse, b);
  },
  read(r, end) {
    const m = AuthUserAddResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserGetResponse {
  header: ResponseHeader | undefined;
  roles: string[];
}
export const AuthUserGetResponse: Codec<AuthUserGetResponse> = {
  typeName: 'etcdserverpb.AuthUserGetResponse',
  create() {
    return { header: undefined, roles: [] };
  },
  encode(m) {
    return encodeWith(AuthUserGetResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.roles !== undefined)
      for (const e of m.roles) {
        w.varint32(18);
        w.string(e);
      }
  },
  decode(b) {
    return decodeWith(AuthUserGetResponse, b);
  },
  read(r, end) {
    const m = AuthUserGetResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.roles.push(r.string());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserDeleteResponse {
  header: ResponseHeader | undefined;
}
export const AuthUserDeleteResponse: Codec<AuthUserDeleteResponse> = {
  typeName: 'etcdserverpb.AuthUserDeleteResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthUserDeleteResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthUserDeleteResponse, b);
  },
  read(r, end) {
    const m = AuthUserDeleteResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserChangePasswordResponse {
  header: ResponseHeader | undefined;
}
export const AuthUserChangePasswordResponse: Codec<AuthUserChangePasswordResponse> = {
  typeName: 'etcdserverpb.AuthUserChangePasswordResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthUserChangePasswordResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthUserChangePasswordResponse, b);
  },
  read(r, end) {
    const m = AuthUserChangePasswordResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserGrantRoleResponse {
  header: ResponseHeader | undefined;
}
export const AuthUserGrantRoleResponse: Codec<AuthUserGrantRoleResponse> = {
  typeName: 'etcdserverpb.AuthUserGrantRoleResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthUserGrantRoleResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthUserGrantRoleResponse, b);
  },
  read(r, end) {
    const m = AuthUserGrantRoleResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserRevokeRoleResponse {
  header: ResponseHeader | undefined;
}
export const AuthUserRevokeRoleResponse: Codec<AuthUserRevokeRoleResponse> = {
  typeName: 'etcdserverpb.AuthUserRevokeRoleResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthUserRevokeRoleResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthUserRevokeRoleResponse, b);
  },
  read(r, end) {
    const m = AuthUserRevokeRoleResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleAddResponse {
  header: ResponseHeader | undefined;
}
export const AuthRoleAddResponse: Codec<AuthRoleAddResponse> = {
  typeName: 'etcdserverpb.AuthRoleAddResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthRoleAddResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleAddResponse, b);
  },
  read(r, end) {
    const m = AuthRoleAddResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleGetResponse {
  header: ResponseHeader | undefined;
  perm: Permission[];
}
export const AuthRoleGetResponse: Codec<AuthRoleGetResponse> = {
  typeName: 'etcdserverpb.AuthRoleGetResponse',
  create() {
    return { header: undefined, perm: [] };
  },
  encode(m) {
    return encodeWith(AuthRoleGetResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.perm !== undefined)
      for (const e of m.perm) {
        w.varint32(18);
        const mark = w.beginMessage();
        Permission.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(AuthRoleGetResponse, b);
  },
  read(r, end) {
    const m = AuthRoleGetResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.perm.push(Permission.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleListResponse {
  header: ResponseHeader | undefined;
  roles: string[];
}
export const AuthRoleListResponse: Codec<AuthRoleListResponse> = {
  typeName: 'etcdserverpb.AuthRoleListResponse',
  create() {
    return { header: undefined, roles: [] };
  },
  encode(m) {
    return encodeWith(AuthRoleListResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.roles !== undefined)
      for (const e of m.roles) {
        w.varint32(18);
        w.string(e);
      }
  },
  decode(b) {
    return decodeWith(AuthRoleListResponse, b);
  },
  read(r, end) {
    const m = AuthRoleListResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.roles.push(r.string());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthUserListResponse {
  header: ResponseHeader | undefined;
  users: string[];
}
export const AuthUserListResponse: Codec<AuthUserListResponse> = {
  typeName: 'etcdserverpb.AuthUserListResponse',
  create() {
    return { header: undefined, users: [] };
  },
  encode(m) {
    return encodeWith(AuthUserListResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.users !== undefined)
      for (const e of m.users) {
        w.varint32(18);
        w.string(e);
      }
  },
  decode(b) {
    return decodeWith(AuthUserListResponse, b);
  },
  read(r, end) {
    const m = AuthUserListResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.users.push(r.string());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleDeleteResponse {
  header: ResponseHeader | undefined;
}
export const AuthRoleDeleteResponse: Codec<AuthRoleDeleteResponse> = {
  typeName: 'etcdserverpb.AuthRoleDeleteResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthRoleDeleteResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleDeleteResponse, b);
  },
  read(r, end) {
    const m = AuthRoleDeleteResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleGrantPermissionResponse {
  header: ResponseHeader | undefined;
}
export const AuthRoleGrantPermissionResponse: Codec<AuthRoleGrantPermissionResponse> = {
  typeName: 'etcdserverpb.AuthRoleGrantPermissionResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthRoleGrantPermissionResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleGrantPermissionResponse, b);
  },
  read(r, end) {
    const m = AuthRoleGrantPermissionResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface AuthRoleRevokePermissionResponse {
  header: ResponseHeader | undefined;
}
export const AuthRoleRevokePermissionResponse: Codec<AuthRoleRevokePermissionResponse> = {
  typeName: 'etcdserverpb.AuthRoleRevokePermissionResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(AuthRoleRevokePermissionResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(AuthRoleRevokePermissionResponse, b);
  },
  read(r, end) {
    const m = AuthRoleRevokePermissionResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface RangeStreamResponse {
  rangeResponse: RangeResponse | undefined;
}
export const RangeStreamResponse: Codec<RangeStreamResponse> = {
  typeName: 'etcdserverpb.RangeStreamResponse',
  create() {
    return { rangeResponse: undefined };
  },
  encode(m) {
    return encodeWith(RangeStreamResponse, m);
  },
  write(m, w) {
    if (m.rangeResponse !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      RangeResponse.write(m.rangeResponse, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(RangeStreamResponse, b);
  },
  read(r, end) {
    const m = RangeStreamResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.rangeResponse = RangeResponse.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
