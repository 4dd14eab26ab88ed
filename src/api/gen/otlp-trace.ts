// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { InstrumentationScope, KeyValue } from './otlp-common.ts';
import { Resource } from './otlp-resource.ts';

const empty = new Uint8Array(0);

export interface ResourceSpans {
  resource: Resource | undefined;
  scopeSpans: ScopeSpans[];
  schemaUrl: string;
}
export const ResourceSpans: Codec<ResourceSpans> = {
  typeName: 'opentelemetry.proto.trace.v1.ResourceSpans',
  create() {
    return { resource: undefined, scopeSpans: [], schemaUrl: '' };
  },
  encode(m) {
    return encodeWith(ResourceSpans, m);
  },
  write(m, w) {
    if (m.resource !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      Resource.write(m.resource, w);
      w.endMessage(mark);
    }
    if (m.scopeSpans !== undefined)
      for (const e of m.scopeSpans) {
        w.varint32(18);
        const mark = w.beginMessage();
        ScopeSpans.write(e, w);
        w.endMessage(mark);
      }
    if (m.schemaUrl !== undefined && m.schemaUrl.length !== 0) {
      w.varint32(26);
      w.string(m.schemaUrl);
    }
  },
  decode(b) {
    return decodeWith(ResourceSpans, b);
  },
  read(r, end) {
    const m = ResourceSpans.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.resource = Resource.read(r, r.messageEnd());
          break;
        case 18:
          m.scopeSpans.push(ScopeSpans.read(r, r.messageEnd()));
          break;
        case 26:
          m.schemaUrl = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ScopeSpans {
  scope: InstrumentationScope | undefined;
  spans: Span[];
  schemaUrl: string;
}
export const ScopeSpans: Codec<ScopeSpans> = {
  typeName: 'opentelemetry.proto.trace.v1.ScopeSpans',
  create() {
    return { scope: undefined, spans: [], schemaUrl: '' };
  },
  encode(m) {
    return encodeWith(ScopeSpans, m);
  },
  write(m, w) {
    if (m.scope !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      InstrumentationScope.write(m.scope, w);
      w.endMessage(mark);
    }
    if (m.spans !== undefined)
      for (const e of m.spans) {
        w.varint32(18);
        const mark = w.beginMessage();
        Span.write(e, w);
        w.endMessage(mark);
      }
    if (m.schemaUrl !== undefined && m.schemaUrl.length !== 0) {
      w.varint32(26);
      w.string(m.schemaUrl);
    }
  },
  decode(b) {
    return decodeWith(ScopeSpans, b);
  },
  read(r, end) {
    const m = ScopeSpans.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.scope = InstrumentationScope.read(r, r.messageEnd());
          break;
        case 18:
          m.spans.push(Span.read(r, r.messageEnd()));
          break;
        case 26:
          m.schemaUrl = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Span {
  traceId: Uint8Array;
  spanId: Uint8Array;
  traceState: string;
  parentSpanId: Uint8Array;
  name: string;
  kind: Span_SpanKind;
  startTimeUnixNano: bigint;
  endTimeUnixNano: bigint;
  attributes: KeyValue[];
  droppedAttributesCount: number;
  events: Span_Event[];
  droppedEventsCount: number;
  status: Status | undefined;
  flags: number;
}
export const Span: Codec<Span> = {
  typeName: 'opentelemetry.proto.trace.v1.Span',
  create() {
    return {
      traceId: empty,
      spanId: empty,
      traceState: '',
      parentSpanId: empty,
      name: '',
      kind: 0,
      startTimeUnixNano: 0n,
      endTimeUnixNano: 0n,
      attributes: [],
      droppedAttributesCount: 0,
      events: [],
      droppedEventsCount: 0,
      status: undefined,
      flags: 0,
    };
  },
  encode(m) {
    return encodeWith(Span, m);
  },
  write(m, w) {
    if (m.traceId !== undefined && m.traceId.length !== 0) {
      w.varint32(10);
      w.bytes(m.traceId);
    }
    if (m.spanId !== undefined && m.spanId.length !== 0) {
      w.varint32(18);
      w.bytes(m.spanId);
    }
    if (m.traceState !== undefined && m.traceState.length !== 0) {
      w.varint32(26);
      w.string(m.traceState);
    }
    if (m.parentSpanId !== undefined && m.parentSpanId.length !== 0) {
      w.varint32(34);
      w.bytes(m.parentSpanId);
    }
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(42);
      w.string(m.name);
    }
    if (m.kind !== undefined && m.kind !== 0) {
      w.varint32(48);
      w.int64(m.kind);
    }
    if (m.startTimeUnixNano !== undefined && m.startTimeUnixNano !== 0n) {
      w.varint32(57);
      w.fixed64(m.startTimeUnixNano);
    }
    if (m.endTimeUnixNano !== undefined && m.endTimeUnixNano !== 0n) {
      w.varint32(65);
      w.fixed64(m.endTimeUnixNano);
    }
    if (m.attributes !== undefined)
      for (const e of m.attributes) {
        w.varint32(74);
        const mark = w.beginMessage();
        KeyValue.write(e, w);
        w.endMessage(mark);
      }
    if (m.droppedAttributesCount !== undefined && m.droppedAttributesCount !== 0) {
      w.varint32(80);
      w.varint32(m.droppedAttributesCount);
    }
    if (m.events !== undefined)
      for (const e of m.events) {
        w.varint32(90);
        const mark = w.beginMessage();
        Span_Event.write(e, w);
        w.endMessage(mark);
      }
    if (m.droppedEventsCount !== undefined && m.droppedEventsCount !== 0) {
      w.varint32(96);
      w.varint32(m.droppedEventsCount);
    }
    if (m.status !== undefined) {
      w.varint32(122);
      const mark = w.beginMessage();
      Status.write(m.status, w);
      w.endMessage(mark);
    }
    if (m.flags !== undefined && m.flags !== 0) {
      w.varint32(133);
      w.fixed32(m.flags);
    }
  },
  decode(b) {
    return decodeWith(Span, b);
  },
  read(r, end) {
    const m = Span.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.traceId = r.bytes();
          break;
        case 18:
          m.spanId = r.bytes();
          break;
        case 26:
          m.traceState = r.string();
          break;
        case 34:
          m.parentSpanId = r.bytes();
          break;
        case 42:
          m.name = r.string();
          break;
        case 48:
          m.kind = r.int32();
          break;
        case 57:
          m.startTimeUnixNano = r.fixed64();
          break;
        case 65:
          m.endTimeUnixNano = r.fixed64();
          break;
        case 74:
          m.attributes.push(KeyValue.read(r, r.messageEnd()));
          break;
        case 80:
          m.droppedAttributesCount = r.varint32();
          break;
        case 90:
          m.events.push(Span_Event.read(r, r.messageEnd()));
          break;
        case 96:
          m.droppedEventsCount = r.varint32();
          break;
        case 122:
          m.status = Status.read(r, r.messageEnd());
          break;
        case 133:
          m.flags = r.fixed32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const Span_SpanKind = {
  SPAN_KIND_UNSPECIFIED: 0,
  SPAN_KIND_INTERNAL: 1,
  SPAN_KIND_SERVER: 2,
  SPAN_KIND_CLIENT: 3,
  SPAN_KIND_PRODUCER: 4,
  SPAN_KIND_CONSUMER: 5,
} as const;
export type Span_SpanKind = number;

export interface Span_Event {
  timeUnixNano: bigint;
  name: string;
  attributes: KeyValue[];
  droppedAttributesCount: number;
}
export const Span_Event: Codec<Span_Event> = {
  typeName: 'opentelemetry.proto.trace.v1.Span.Event',
  create() {
    return { timeUnixNano: 0n, name: '', attributes: [], droppedAttributesCount: 0 };
  },
  encode(m) {
    return encodeWith(Span_Event, m);
  },
  write(m, w) {
    if (m.timeUnixNano !== undefined && m.timeUnixNano !== 0n) {
      w.varint32(9);
      w.fixed64(m.timeUnixNano);
    }
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(18);
      w.string(m.name);
    }
    if (m.attributes !== undefined)
      for (const e of m.attributes) {
        w.varint32(26);
        const mark = w.beginMessage();
        KeyValue.write(e, w);
        w.endMessage(mark);
      }
    if (m.droppedAttributesCount !== undefined && m.droppedAttributesCount !== 0) {
      w.varint32(32);
      w.varint32(m.droppedAttributesCount);
    }
  },
  decode(b) {
    return decodeWith(Span_Event, b);
  },
  read(r, end) {
    const m = Span_Event.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 9:
          m.timeUnixNano = r.fixed64();
          break;
        case 18:
          m.name = r.string();
          break;
        case 26:
          m.attributes.push(KeyValue.read(r, r.messageEnd()));
          break;
        case 32:
          m.droppedAttributesCount = r.varint32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Status {
  message: string;
  code: Status_StatusCode;
}
export const Status: Codec<Status> = {
  typeName: 'opentelemetry.proto.trace.v1.Status',
  create() {
    return { message: '', code: 0 };
  },
  encode(m) {
    return encodeWith(Status, m);
  },
  write(m, w) {
    if (m.message !== undefined && m.message.length !== 0) {
      w.varint32(18);
      w.string(m.message);
    }
    if (m.code !== undefined && m.code !== 0) {
      w.varint32(24);
      w.int64(m.code);
    }
  },
  decode(b) {
    return decodeWith(Status, b);
  },
  read(r, end) {
    const m = Status.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 18:
          m.message = r.string();
          break;
        case 24:
          m.code = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const Status_StatusCode = { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 } as const;
export type Status_StatusCode = number;
