// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';

export interface RaftAttributes {
  peerUrls: string[];
  isLearner: boolean;
}
export const RaftAttributes: Codec<RaftAttributes> = {
  typeName: 'membershippb.RaftAttributes',
  create() {
    return { peerUrls: [], isLearner: false };
  },
  encode(m) {
    return encodeWith(RaftAttributes, m);
  },
  write(m, w) {
    if (m.peerUrls !== undefined)
      for (const e of m.peerUrls) {
        w.varint32(10);
        w.string(e);
      }
    if (m.isLearner === true) {
      w.varint32(16);
      w.varint32(m.isLearner ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(RaftAttributes, b);
  },
  read(r, end) {
    const m = RaftAttributes.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.peerUrls.push(r.string());
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

export interface Attributes {
  name: string;
  clientUrls: string[];
}
export const Attributes: Codec<Attributes> = {
  typeName: 'membershippb.Attributes',
  create() {
    return { name: '', clientUrls: [] };
  },
  encode(m) {
    return encodeWith(Attributes, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.clientUrls !== undefined)
      for (const e of m.clientUrls) {
        w.varint32(18);
        w.string(e);
      }
  },
  decode(b) {
    return decodeWith(Attributes, b);
  },
  read(r, end) {
    const m = Attributes.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        case 18:
          m.clientUrls.push(r.string());
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
  raftAttributes: RaftAttributes | undefined;
  memberAttributes: Attributes | undefined;
}
export const Member: Codec<Member> = {
  typeName: 'membershippb.Member',
  create() {
    return { ID: 0n, raftAttributes: undefined, memberAttributes: undefined };
  },
  encode(m) {
    return encodeWith(Member, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.raftAttributes !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      RaftAttributes.write(m.raftAttributes, w);
      w.endMessage(mark);
    }
    if (m.memberAttributes !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      Attributes.write(m.memberAttributes, w);
      w.endMessage(mark);
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
          m.raftAttributes = RaftAttributes.read(r, r.messageEnd());
          break;
        case 26:
          m.memberAttributes = Attributes.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ClusterVersionSetRequest {
  ver: string;
}
export const ClusterVersionSetRequest: Codec<ClusterVersionSetRequest> = {
  typeName: 'membershippb.ClusterVersionSetRequest',
  create() {
    return { ver: '' };
  },
  encode(m) {
    return encodeWith(ClusterVersionSetRequest, m);
  },
  write(m, w) {
    if (m.ver !== undefined && m.ver.length !== 0) {
      w.varint32(10);
      w.string(m.ver);
    }
  },
  decode(b) {
    return decodeWith(ClusterVersionSetRequest, b);
  },
  read(r, end) {
    const m = ClusterVersionSetRequest.create();
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

export interface ClusterMemberAttrSetRequest {
  memberID: bigint;
  memberAttributes: Attributes | undefined;
}
export const ClusterMemberAttrSetRequest: Codec<ClusterMemberAttrSetRequest> = {
  typeName: 'membershippb.ClusterMemberAttrSetRequest',
  create() {
    return { memberID: 0n, memberAttributes: undefined };
  },
  encode(m) {
    return encodeWith(ClusterMemberAttrSetRequest, m);
  },
  write(m, w) {
    if (m.memberID !== undefined && m.memberID !== 0n) {
      w.varint32(8);
      w.bigint64(m.memberID);
    }
    if (m.memberAttributes !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      Attributes.write(m.memberAttributes, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ClusterMemberAttrSetRequest, b);
  },
  read(r, end) {
    const m = ClusterMemberAttrSetRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.memberID = r.bigUint64();
          break;
        case 18:
          m.memberAttributes = Attributes.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface DowngradeInfoSetRequest {
  enabled: boolean;
  ver: string;
}
export const DowngradeInfoSetRequest: Codec<DowngradeInfoSetRequest> = {
  typeName: 'membershippb.DowngradeInfoSetRequest',
  create() {
    return { enabled: false, ver: '' };
  },
  encode(m) {
    return encodeWith(DowngradeInfoSetRequest, m);
  },
  write(m, w) {
    if (m.enabled === true) {
      w.varint32(8);
      w.varint32(m.enabled ? 1 : 0);
    }
    if (m.ver !== undefined && m.ver.length !== 0) {
      w.varint32(18);
      w.string(m.ver);
    }
  },
  decode(b) {
    return decodeWith(DowngradeInfoSetRequest, b);
  },
  read(r, end) {
    const m = DowngradeInfoSetRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.enabled = r.bool();
          break;
        case 18:
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
