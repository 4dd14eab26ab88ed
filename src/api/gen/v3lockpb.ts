// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { ResponseHeader } from './etcdserverpb.ts';

const empty = new Uint8Array(0);

export interface LockRequest {
  name: Uint8Array;
  lease: bigint;
}
export const LockRequest: Codec<LockRequest> = {
  typeName: 'v3lockpb.LockRequest',
  create() {
    return { name: empty, lease: 0n };
  },
  encode(m) {
    return encodeWith(LockRequest, m);
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
  },
  decode(b) {
    return decodeWith(LockRequest, b);
  },
  read(r, end) {
    const m = LockRequest.create();
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
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LockResponse {
  header: ResponseHeader | undefined;
  key: Uint8Array;
}
export const LockResponse: Codec<LockResponse> = {
  typeName: 'v3lockpb.LockResponse',
  create() {
    return { header: undefined, key: empty };
  },
  encode(m) {
    return encodeWith(LockResponse, m);
  },
  write(m, w) {
    if (m.header !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ResponseHeader.write(m.header, w);
      w.endMessage(mark);
    }
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(18);
      w.bytes(m.key);
    }
  },
  decode(b) {
    return decodeWith(LockResponse, b);
  },
  read(r, end) {
    const m = LockResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.header = ResponseHeader.read(r, r.messageEnd());
          break;
        case 18:
          m.key = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface UnlockRequest {
  key: Uint8Array;
}
export const UnlockRequest: Codec<UnlockRequest> = {
  typeName: 'v3lockpb.UnlockRequest',
  create() {
    return { key: empty };
  },
  encode(m) {
    return encodeWith(UnlockRequest, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
  },
  decode(b) {
    return decodeWith(UnlockRequest, b);
  },
  read(r, end) {
    const m = UnlockRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface UnlockResponse {
  header: ResponseHeader | undefined;
}
export const UnlockResponse: Codec<UnlockResponse> = {
  typeName: 'v3lockpb.UnlockResponse',
  create() {
    return { header: undefined };
  },
  encode(m) {
    return encodeWith(UnlockResponse, m);
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
    return decodeWith(UnlockResponse, b);
  },
  read(r, end) {
    const m = UnlockResponse.create();
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
