// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import type {
  Entry,
  SnapshotMetadata,
  Snapshot,
  Message,
  HardState,
  ConfState,
  ConfChange,
  ConfChangeSingle,
  ConfChangeV2,
} from '../../raft/types.ts';

const empty = new Uint8Array(0);

export const EntryCodec: Codec<Entry> = {
  typeName: 'raftpb.Entry',
  create() {
    return { Type: 0, Term: 0, Index: 0, Data: empty };
  },
  encode(m) {
    return encodeWith(EntryCodec, m);
  },
  write(m, w) {
    if (m.Type !== undefined && m.Type !== 0) {
      w.varint32(8);
      w.int64(m.Type);
    }
    w.varint32(16);
    w.int64(m.Term ?? 0);
    w.varint32(24);
    w.int64(m.Index ?? 0);
    if (m.Data !== undefined && m.Data.length !== 0) {
      w.varint32(34);
      w.bytes(m.Data);
    }
  },
  decode(b) {
    return decodeWith(EntryCodec, b);
  },
  read(r, end) {
    const m = EntryCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.Type = r.int32();
          break;
        case 16:
          m.Term = r.uint64();
          break;
        case 24:
          m.Index = r.uint64();
          break;
        case 34:
          m.Data = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const SnapshotMetadataCodec: Codec<SnapshotMetadata> = {
  typeName: 'raftpb.SnapshotMetadata',
  create() {
    return { confState: undefined, index: 0, term: 0 };
  },
  encode(m) {
    return encodeWith(SnapshotMetadataCodec, m);
  },
  write(m, w) {
    if (m.confState !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ConfStateCodec.write(m.confState, w);
      w.endMessage(mark);
    }
    w.varint32(16);
    w.int64(m.index ?? 0);
    w.varint32(24);
    w.int64(m.term ?? 0);
  },
  decode(b) {
    return decodeWith(SnapshotMetadataCodec, b);
  },
  read(r, end) {
    const m = SnapshotMetadataCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.confState = ConfStateCodec.read(r, r.messageEnd());
          break;
        case 16:
          m.index = r.uint64();
          break;
        case 24:
          m.term = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const SnapshotCodec: Codec<Snapshot> = {
  typeName: 'raftpb.Snapshot',
  create() {
    return { data: empty, metadata: undefined };
  },
  encode(m) {
    return encodeWith(SnapshotCodec, m);
  },
  write(m, w) {
    if (m.data !== undefined && m.data.length !== 0) {
      w.varint32(10);
      w.bytes(m.data);
    }
    if (m.metadata !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      SnapshotMetadataCodec.write(m.metadata, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(SnapshotCodec, b);
  },
  read(r, end) {
    const m = SnapshotCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.data = r.bytes();
          break;
        case 18:
          m.metadata = SnapshotMetadataCodec.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const MessageCodec: Codec<Message> = {
  typeName: 'raftpb.Message',
  create() {
    return {
      type: 0,
      to: 0n,
      from: 0n,
      term: 0,
      logTerm: 0,
      index: 0,
      entries: [],
      commit: 0,
      snapshot: undefined,
      reject: false,
      rejectHint: 0,
      context: empty,
      vote: 0n,
      responses: [],
    };
  },
  encode(m) {
    return encodeWith(MessageCodec, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.type ?? 0);
    w.varint32(16);
    w.bigint64(m.to ?? 0n);
    w.varint32(24);
    w.bigint64(m.from ?? 0n);
    w.varint32(32);
    w.int64(m.term ?? 0);
    if (m.logTerm !== undefined && m.logTerm !== 0) {
      w.varint32(40);
      w.int64(m.logTerm);
    }
    if (m.index !== undefined && m.index !== 0) {
      w.varint32(48);
      w.int64(m.index);
    }
    if (m.entries !== undefined)
      for (const e of m.entries) {
        w.varint32(58);
        const mark = w.beginMessage();
        EntryCodec.write(e, w);
        w.endMessage(mark);
      }
    if (m.commit !== undefined && m.commit !== 0) {
      w.varint32(64);
      w.int64(m.commit);
    }
    if (m.snapshot !== undefined) {
      w.varint32(74);
      const mark = w.beginMessage();
      SnapshotCodec.write(m.snapshot, w);
      w.endMessage(mark);
    }
    if (m.reject === true) {
      w.varint32(80);
      w.varint32(m.reject ? 1 : 0);
    }
    if (m.rejectHint !== undefined && m.rejectHint !== 0) {
      w.varint32(88);
      w.int64(m.rejectHint);
    }
    if (m.context !== undefined && m.context.length !== 0) {
      w.varint32(98);
      w.bytes(m.context);
    }
    if (m.vote !== undefined && m.vote !== 0n) {
      w.varint32(104);
      w.bigint64(m.vote);
    }
    if (m.responses !== undefined)
      for (const e of m.responses) {
        w.varint32(114);
        const mark = w.beginMessage();
        MessageCodec.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(MessageCodec, b);
  },
  read(r, end) {
    const m = MessageCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.type = r.int32();
          break;
        case 16:
          m.to = r.bigUint64();
          break;
        case 24:
          m.from = r.bigUint64();
          break;
        case 32:
          m.term = r.uint64();
          break;
        case 40:
          m.logTerm = r.uint64();
          break;
        case 48:
          m.index = r.uint64();
          break;
        case 58:
          m.entries.push(EntryCodec.read(r, r.messageEnd()));
          break;
        case 64:
          m.commit = r.uint64();
          break;
        case 74:
          m.snapshot = SnapshotCodec.read(r, r.messageEnd());
          break;
        case 80:
          m.reject = r.bool();
          break;
        case 88:
          m.rejectHint = r.uint64();
          break;
        case 98:
          m.context = r.bytes();
          break;
        case 104:
          m.vote = r.bigUint64();
          break;
        case 114:
          m.responses.push(MessageCodec.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const HardStateCodec: Codec<HardState> = {
  typeName: 'raftpb.HardState',
  create() {
    return { term: 0, vote: 0n, commit: 0 };
  },
  encode(m) {
    return encodeWith(HardStateCodec, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.term ?? 0);
    w.varint32(16);
    w.bigint64(m.vote ?? 0n);
    w.varint32(24);
    w.int64(m.commit ?? 0);
  },
  decode(b) {
    return decodeWith(HardStateCodec, b);
  },
  read(r, end) {
    const m = HardStateCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.term = r.uint64();
          break;
        case 16:
          m.vote = r.bigUint64();
          break;
        case 24:
          m.commit = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const ConfStateCodec: Codec<ConfState> = {
  typeName: 'raftpb.ConfState',
  create() {
    return { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  },
  encode(m) {
    return encodeWith(ConfStateCodec, m);
  },
  write(m, w) {
    if (m.voters !== undefined)
      for (const e of m.voters) {
        w.varint32(8);
        w.bigint64(e);
      }
    if (m.learners !== undefined)
      for (const e of m.learners) {
        w.varint32(16);
        w.bigint64(e);
      }
    if (m.votersOutgoing !== undefined)
      for (const e of m.votersOutgoing) {
        w.varint32(24);
        w.bigint64(e);
      }
    if (m.learnersNext !== undefined)
      for (const e of m.learnersNext) {
        w.varint32(32);
        w.bigint64(e);
      }
    w.varint32(40);
    w.varint32((m.autoLeave ?? false) ? 1 : 0);
  },
  decode(b) {
    return decodeWith(ConfStateCodec, b);
  },
  read(r, end) {
    const m = ConfStateCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.voters.push(r.bigUint64());
          break;
        case 10: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.voters.push(r.bigUint64());
          break;
        }
        case 16:
          m.learners.push(r.bigUint64());
          break;
        case 18: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.learners.push(r.bigUint64());
          break;
        }
        case 24:
          m.votersOutgoing.push(r.bigUint64());
          break;
        case 26: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.votersOutgoing.push(r.bigUint64());
          break;
        }
        case 32:
          m.learnersNext.push(r.bigUint64());
          break;
        case 34: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.learnersNext.push(r.bigUint64());
          break;
        }
        case 40:
          m.autoLeave = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const ConfChangeCodec: Codec<ConfChange> = {
  typeName: 'raftpb.ConfChange',
  create() {
    return { id: 0n, type: 0, nodeId: 0n, context: empty };
  },
  encode(m) {
    return encodeWith(ConfChangeCodec, m);
  },
  write(m, w) {
    if (m.id !== undefined && m.id !== 0n) {
      w.varint32(8);
      w.bigint64(m.id);
    }
    w.varint32(16);
    w.int64(m.type ?? 0);
    w.varint32(24);
    w.bigint64(m.nodeId ?? 0n);
    if (m.context !== undefined && m.context.length !== 0) {
      w.varint32(34);
      w.bytes(m.context);
    }
  },
  decode(b) {
    return decodeWith(ConfChangeCodec, b);
  },
  read(r, end) {
    const m = ConfChangeCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.id = r.bigUint64();
          break;
        case 16:
          m.type = r.int32();
          break;
        case 24:
          m.nodeId = r.bigUint64();
          break;
        case 34:
          m.context = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const ConfChangeSingleCodec: Codec<ConfChangeSingle> = {
  typeName: 'raftpb.ConfChangeSingle',
  create() {
    return { type: 0, nodeId: 0n };
  },
  encode(m) {
    return encodeWith(ConfChangeSingleCodec, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.type ?? 0);
    w.varint32(16);
    w.bigint64(m.nodeId ?? 0n);
  },
  decode(b) {
    return decodeWith(ConfChangeSingleCodec, b);
  },
  read(r, end) {
    const m = ConfChangeSingleCodec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.type = r.int32();
          break;
        case 16:
          m.nodeId = r.bigUint64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const ConfChangeV2Codec: Codec<ConfChangeV2> = {
  typeName: 'raftpb.ConfChangeV2',
  create() {
    return { transition: 0, changes: [], context: empty };
  },
  encode(m) {
    return encodeWith(ConfChangeV2Codec, m);
  },
  write(m, w) {
    w.varint32(8);
    w.int64(m.transition ?? 0);
    if (m.changes !== undefined)
      for (const e of m.changes) {
        w.varint32(18);
        const mark = w.beginMessage();
        ConfChangeSingleCodec.write(e, w);
        w.endMessage(mark);
      }
    if (m.context !== undefined && m.context.length !== 0) {
      w.varint32(26);
      w.bytes(m.context);
    }
  },
  decode(b) {
    return decodeWith(ConfChangeV2Codec, b);
  },
  read(r, end) {
    const m = ConfChangeV2Codec.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.transition = r.int32();
          break;
        case 18:
          m.changes.push(ConfChangeSingleCodec.read(r, r.messageEnd()));
          break;
        case 26:
          m.context = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
