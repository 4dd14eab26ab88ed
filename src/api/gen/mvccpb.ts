// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';

const empty = new Uint8Array(0);

export interface KeyValue {
  key: Uint8Array;
  createRevision: number;
  modRevision: number;
  version: number;
  value: Uint8Array;
  lease: bigint;
}
export const KeyValue: Codec<KeyValue> = {
  typeName: 'mvccpb.KeyValue',
  create() {
    return { key: empty, createRevision: 0, modRevision: 0, version: 0, value: empty, lease: 0n };
  },
  encode(m) {
    return encodeWith(KeyValue, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.bytes(m.key);
    }
    if (m.createRevision !== undefined && m.createRevision !== 0) {
      w.varint32(16);
      w.int64(m.createRevision);
    }
    if (m.modRevision !== undefined && m.modRevision !== 0) {
      w.varint32(24);
      w.int64(m.modRevision);
    }
    if (m.version !== undefined && m.version !== 0) {
      w.varint32(32);
      w.int64(m.version);
    }
    if (m.value !== undefined && m.value.length !== 0) {
      w.varint32(42);
      w.bytes(m.value);
    }
    if (m.lease !== undefined && m.lease !== 0n) {
      w.varint32(48);
      w.bigint64(m.lease);
    }
  },
  decode(b) {
    return decodeWith(KeyValue, b);
  },
  read(r, end) {
    const m = KeyValue.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.key = r.bytes();
          break;
        case 16:
          m.createRevision = r.int64();
          break;
        case 24:
          m.modRevision = r.int64();
          break;
        case 32:
          m.version = r.int64();
          break;
        case 42:
          m.value = r.bytes();
          break;
        case 48:
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

export interface Event {
  type: Event_EventType;
  kv: KeyValue | undefined;
  prevKv: KeyValue | undefined;
}
export const Event: Codec<Event> = {
  typeName: 'mvccpb.Event',
  create() {
    return { type: 0, kv: undefined, prevKv: undefined };
  },
  encode(m) {
    return encodeWith(Event, m);
  },
  write(m, w) {
    if (m.type !== undefined && m.type !== 0) {
      w.varint32(8);
      w.int64(m.type);
    }
    if (m.kv !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      KeyValue.write(m.kv, w);
      w.endMessage(mark);
    }
    if (m.prevKv !== undefined) {
      w.varint32(26);
      const mark = w.beginMessage();
      KeyValue.write(m.prevKv, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(Event, b);
  },
  read(r, end) {
    const m = Event.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.type = r.int32();
          break;
        case 18:
          m.kv = KeyValue.read(r, r.messageEnd());
          break;
        case 26:
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

export const Event_EventType = { PUT: 0, DELETE: 1 } as const;
export type Event_EventType = number;
