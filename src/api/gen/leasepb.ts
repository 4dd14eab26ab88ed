// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } from './etcdserverpb.ts';

export interface Lease {
  ID: bigint;
  TTL: number;
  RemainingTTL: number;
}
export const Lease: Codec<Lease> = {
  typeName: 'leasepb.Lease',
  create() {
    return { ID: 0n, TTL: 0, RemainingTTL: 0 };
  },
  encode(m) {
    return encodeWith(Lease, m);
  },
  write(m, w) {
    if (m.ID !== undefined && m.ID !== 0n) {
      w.varint32(8);
      w.bigint64(m.ID);
    }
    if (m.TTL !== undefined && m.TTL !== 0) {
      w.varint32(16);
      w.int64(m.TTL);
    }
    if (m.RemainingTTL !== undefined && m.RemainingTTL !== 0) {
      w.varint32(24);
      w.int64(m.RemainingTTL);
    }
  },
  decode(b) {
    return decodeWith(Lease, b);
  },
  read(r, end) {
    const m = Lease.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.ID = r.bigInt64();
          break;
        case 16:
          m.TTL = r.int64();
          break;
        case 24:
          m.RemainingTTL = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseInternalRequest {
  LeaseTimeToLiveRequest: LeaseTimeToLiveRequest | undefined;
}
export const LeaseInternalRequest: Codec<LeaseInternalRequest> = {
  typeName: 'leasepb.LeaseInternalRequest',
  create() {
    return { LeaseTimeToLiveRequest: undefined };
  },
  encode(m) {
    return encodeWith(LeaseInternalRequest, m);
  },
  write(m, w) {
    if (m.LeaseTimeToLiveRequest !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      LeaseTimeToLiveRequest.write(m.LeaseTimeToLiveRequest, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(LeaseInternalRequest, b);
  },
  read(r, end) {
    const m = LeaseInternalRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.LeaseTimeToLiveRequest = LeaseTimeToLiveRequest.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface LeaseInternalResponse {
  LeaseTimeToLiveResponse: LeaseTimeToLiveResponse | undefined;
}
export const LeaseInternalResponse: Codec<LeaseInternalResponse> = {
  typeName: 'leasepb.LeaseInternalResponse',
  create() {
    return { LeaseTimeToLiveResponse: undefined };
  },
  encode(m) {
    return encodeWith(LeaseInternalResponse, m);
  },
  write(m, w) {
    if (m.LeaseTimeToLiveResponse !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      LeaseTimeToLiveResponse.write(m.LeaseTimeToLiveResponse, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(LeaseInternalResponse, b);
  },
  read(r, end) {
    const m = LeaseInternalResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.LeaseTimeToLiveResponse = LeaseTimeToLiveResponse.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
