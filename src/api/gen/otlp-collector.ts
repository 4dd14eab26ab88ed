// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { ResourceSpans } from './otlp-trace.ts';
import type { MethodDef } from './methods.ts';

export interface ExportTraceServiceRequest {
  resourceSpans: ResourceSpans[];
}
export const ExportTraceServiceRequest: Codec<ExportTraceServiceRequest> = {
  typeName: 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest',
  create() {
    return { resourceSpans: [] };
  },
  encode(m) {
    return encodeWith(ExportTraceServiceRequest, m);
  },
  write(m, w) {
    if (m.resourceSpans !== undefined)
      for (const e of m.resourceSpans) {
        w.varint32(10);
        const mark = w.beginMessage();
        ResourceSpans.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(ExportTraceServiceRequest, b);
  },
  read(r, end) {
    const m = ExportTraceServiceRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.resourceSpans.push(ResourceSpans.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ExportTraceServiceResponse {
  partialSuccess: ExportTracePartialSuccess | undefined;
}
export const ExportTraceServiceResponse: Codec<ExportTraceServiceResponse> = {
  typeName: 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse',
  create() {
    return { partialSuccess: undefined };
  },
  encode(m) {
    return encodeWith(ExportTraceServiceResponse, m);
  },
  write(m, w) {
    if (m.partialSuccess !== undefined) {
      w.varint32(10);
      const mark = w.beginMessage();
      ExportTracePartialSuccess.write(m.partialSuccess, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ExportTraceServiceResponse, b);
  },
  read(r, end) {
    const m = ExportTraceServiceResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.partialSuccess = ExportTracePartialSuccess.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ExportTracePartialSuccess {
  rejectedSpans: number;
  errorMessage: string;
}
export const ExportTracePartialSuccess: Codec<ExportTracePartialSuccess> = {
  typeName: 'opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess',
  create() {
    return { rejectedSpans: 0, errorMessage: '' };
  },
  encode(m) {
    return encodeWith(ExportTracePartialSuccess, m);
  },
  write(m, w) {
    if (m.rejectedSpans !== undefined && m.rejectedSpans !== 0) {
      w.varint32(8);
      w.int64(m.rejectedSpans);
    }
    if (m.errorMessage !== undefined && m.errorMessage.length !== 0) {
      w.varint32(18);
      w.string(m.errorMessage);
    }
  },
  decode(b) {
    return decodeWith(ExportTracePartialSuccess, b);
  },
  read(r, end) {
    const m = ExportTracePartialSuccess.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.rejectedSpans = r.int64();
          break;
        case 18:
          m.errorMessage = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const TraceService = {
  export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    service: 'opentelemetry.proto.collector.trace.v1.TraceService',
    name: 'Export',
    request: ExportTraceServiceRequest,
    response: ExportTraceServiceResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '',
  } as MethodDef<ExportTraceServiceRequest, ExportTraceServiceResponse>,
} as const;
