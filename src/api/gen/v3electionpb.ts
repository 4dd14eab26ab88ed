// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { KeyValue } from './mvccpb.ts';
import { ResponseHeader } from './etcdserverpb.ts';

const empty = new Uint8Array(0);

export interface CampaignRequest {
  name: Uint8Array;
  lease: bigint;
  value: Uint8Array;
}
export const CampaignRequest: Codec<CampaignRequest> = {
  typeName: 'v3electionpb.CampaignRequest',
  create() {
    return { name: empty, lease: 0n, value: empty };
  },
  encode(m) {
    return encodeWith(CampaignRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.bytes(m.name);
    }
    if (m.lease !== undefined && m.lease !== 0n) {
      w.varint32(16);
      w.bigint64(m.lease);
    }
    if (m.value !== undefined && m.value.length !== 0) {
      w.varint32(26);
      w.bytes(m.value);
    }
  },
  decode(b) {
    return decodeWith(CampaignRequest, b);
  },
  read(r, end) {
    const m = CampaignRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.bytes();
          break;
        case 16:
          m.lease = r.bigInt64();
          break;
        case 26:
          m.value = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface CampaignResponse {
  header: ResponseHeader | undefined;
  leader: LeaderKey | undefined;
}
export const CampaignResponse: Codec<CampaignResponse> = {
  typeName: 'v3electionpb.CampaignResponse',
  create() {
    return { header: undefined, leader: undefined };
  },
  encode(m) {
    return encodeWith(CampaignResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.leader !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      LeaderKey.write(m.leader, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(CampaignResponse, b);
  },
  read(r, end) {
    const m = CampaignResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.leader = LeaderKey.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaderKey {
  name: Uint8Array;
  key: Uint8Array;
  rev: number;
  lease: bigint;
}
export const LeaderKey: Codec<LeaderKey> = {
  typeName: 'v3electionpb.LeaderKey',
  create() {
    return { name: empty, key: empty, rev: 0, lease: 0n };
  },
  encode(m) {
    return encodeWith(LeaderKey, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.bytes(m.name);
    }
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(18);
      w.bytes(m.key);
    }
    if (m.rev !== undefined && m.rev !== 0) {
      w.varint32(24);
      w.int64(m.rev);
    }
    if (m.lease !== undefined && m.lease !== 0n) {
      w.varint32(32);
      w.bigint64(m.lease);
    }
  },
  decode(b) {
    return decodeWith(LeaderKey, b);
  },
  read(r, end) {
    const m = LeaderKey.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.bytes();
          break;
        case 18:
          m.key = r.bytes();
          break;
        case 24:
          m.rev = r.int64();
          break;
        case 32:
          m.lease = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaderRequest {
  name: Uint8Array;
}
export const LeaderRequest: Codec<LeaderRequest> = {
  typeName: 'v3electionpb.LeaderRequest',
  create() {
    return { name: empty };
  },
  encode(m) {
    return encodeWith(LeaderRequest, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.bytes(m.name);
    }
  },
  decode(b) {
    return decodeWith(LeaderRequest, b);
  },
  read(r, end) {
    const m = LeaderRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaderResponse {
  header: ResponseHeader | undefined;
  kv: KeyValue | undefined;
}
export const LeaderResponse: Codec<LeaderResponse> = {
  typeName: 'v3electionpb.LeaderResponse',
  create() {
    return { header: undefined, kv: undefined };
  },
  encode(m) {
    return encodeWith(LeaderResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.kv !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      KeyValue.write(m.kv, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(LeaderResponse, b);
  },
  read(r, end) {
    const m = LeaderResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.kv = KeyValue.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ResignRequest {
  leader: LeaderKey | undefined;
}
export const ResignRequest: Codec<ResignRequest> = {
  typeName: 'v3electionpb.ResignRequest',
  create() {
    return { leader: undefined };
  },
  encode(m) {
    return encodeWith(ResignRequest, m);
  },
  write(m, w) {
    if (m.leader !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      LeaderKey.write(m.leader, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ResignRequest, b);
  },
  read(r, end) {
    const m = ResignRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.leader = LeaderKey.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ResignResponse {
  header: ResponseHeader | undefined;
}
export const ResignResponse: Codec<ResignResponse> = {
  typeName: 'v3electionpb.ResignResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(ResignResponse, m);
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
    return decodeWith(ResignResponse, b);
  },
  read(r, end) {
    const m = ResignResponse.create();
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

export interface ProclaimRequest {
  leader: LeaderKey | undefined;
  value: Uint8Array;
}
export const ProclaimRequest: Codec<ProclaimRequest> = {
  typeName: 'v3electionpb.ProclaimRequest',
  create() {
    return { leader: undefined, value: empty };
  },
  encode(m) {
    return encodeWith(ProclaimRequest, m);
  },
  write(m, w) {
    if (m.leader !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      LeaderKey.write(m.leader, w);
      w.endMessage(mark);
    }
    if (m.value !== undefined && m.value.length !== 0) {
      w.varint32(18);
      w.bytes(m.value);
    }
  },
  decode(b) {
    return decodeWith(ProclaimRequest, b);
  },
  read(r, end) {
    const m = ProclaimRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.leader = LeaderKey.read(r, r.messageEnd());
          break;
        case 18:
          m.value = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ProclaimResponse {
  header: ResponseHeader | undefined;
}
export const ProclaimResponse: Codec<ProclaimResponse> = {
  typeName: 'v3electionpb.ProclaimResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(ProclaimResponse, m);
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
    return decodeWith(ProclaimResponse, b);
  },
  read(r, end) {
    const m = ProclaimResponse.create();
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
