// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { ConfStateCodec } from './raftpb.ts';
import type { ConfState } from '../../raft/types.ts';

const empty = new Uint8Array(0);

export interface Record {
  type: number;
  crc: number;
  data: Uint8Array;
}
export const Record: Codec<Record> = {
  typeName: 'walpb.Record',
  create() {
    return { type: 0, crc: 0, data: empty };
  },
  encode(m) {
    return encodeWith(Record, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.type ?? 0);
    w.varint32(16);
    w.varint32(m.crc ?? 0);
    if (m.data !== undefined && m.data.length !== 0) {
      w.varint32(26);
      w.bytes(m.data);
    }
  },
  decode(b) {
    return decodeWith(Record, b);
  },
  read(r, end) {
    const m = Record.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.type = r.int64();
          break;
        case 16:
          m.crc = r.varint32();
          break;
        case 26:
          m.data = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Snapshot {
  index: number;
  term: number;
  confState: ConfState | undefined;
}
export const Snapshot: Codec<Snapshot> = {
  typeName: 'walpb.Snapshot',
  create() {
    return { index: 0, term: 0, confState: undefined };
  },
  encode(m) {
    return encodeWith(Snapshot, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.index ?? 0);
    w.varint32(16);
    w.int64(m.term ?? 0);
    if (m.confState !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      ConfStateCodec.write(m.confState, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(Snapshot, b);
  },
  read(r, end) {
    const m = Snapshot.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.index = r.uint64();
          break;
        case 16:
          m.term = r.uint64();
          break;
        case 26:
          m.confState = ConfStateCodec.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
