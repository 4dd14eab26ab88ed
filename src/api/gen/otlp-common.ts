// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';

export interface AnyValue {
  stringValue: string | undefined;
  boolValue: boolean | undefined;
  intValue: bigint | undefined;
}
export const AnyValue: Codec<AnyValue> = {
  typeName: 'opentelemetry.proto.common.v1.AnyValue',
  create() {
    return { stringValue: undefined, boolValue: undefined, intValue: undefined };
  },
  encode(m) {
    return encodeWith(AnyValue, m);
  },
  write(m, w) {
    if (m.stringValue !== undefined) {
      w.varint32(10);
      w.string(m.stringValue);
    }
    if (m.boolValue !== undefined) {
      w.varint32(16);
      w.varint32(m.boolValue ? 1 : 0);
    }
    if (m.intValue !== undefined) {
      w.varint32(24);
      w.bigint64(m.intValue);
    }
  },
  decode(b) {
    return decodeWith(AnyValue, b);
  },
  read(r, end) {
    const m = AnyValue.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.boolValue = undefined;
          m.intValue = undefined;
          m.stringValue = r.string();
          break;
        case 16:
          m.stringValue = undefined;
          m.intValue = undefined;
          m.boolValue = r.bool();
          break;
        case 24:
          m.stringValue = undefined;
          m.boolValue = undefined;
          m.intValue = r.bigInt64();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface KeyValue {
  key: string;
  value: AnyValue | undefined;
}
export const KeyValue: Codec<KeyValue> = {
  typeName: 'opentelemetry.proto.common.v1.KeyValue',
  create() {
    return { key: '', value: undefined };
  },
  encode(m) {
    return encodeWith(KeyValue, m);
  },
  write(m, w) {
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(10);
      w.string(m.key);
    }
    if (m.value !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      AnyValue.write(m.value, w);
      w.endMessage(mark);
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
          m.key = r.string();
          break;
        case 18:
          m.value = AnyValue.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface InstrumentationScope {
  name: string;
  version: string;
}
export const InstrumentationScope: Codec<InstrumentationScope> = {
  typeName: 'opentelemetry.proto.common.v1.InstrumentationScope',
  create() {
    return { name: '', version: '' };
  },
  encode(m) {
    return encodeWith(InstrumentationScope, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
    if (m.version !== undefined && m.version.length !== 0) {
      w.varint32(18);
      w.string(m.version);
    }
  },
  decode(b) {
    return decodeWith(InstrumentationScope, b);
  },
  read(r, end) {
    const m = InstrumentationScope.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
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
