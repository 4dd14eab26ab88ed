/** gRPC's own health service: the server as a whole is serving; it knows no names of single services. */
import { decodeWith, encodeWith, type Codec } from '../../api/proto-io.ts';
import type { MethodDef } from '../../api/gen/methods.ts';
import { Code } from '../../api/status.ts';
import type { Log } from '../../base/log.ts';
import type { HandlerTable } from '../../wire/call.ts';

interface HealthCheckRequest {
  service: string;
}
interface HealthCheckResponse {
  status: number;
}
const serving = 1;
const notServing = 2;
const serviceUnknown = 3;

const HealthCheckRequest: Codec<HealthCheckRequest> = {
  typeName: 'grpc.health.v1.HealthCheckRequest',
  create: () => ({ service: '' }),
  encode: (m) => encodeWith(HealthCheckRequest, m),
  write(m, w) {
    if (m.service !== undefined && m.service !== '') {
      w.varint32(10);
      w.string(m.service);
    }
  },
  decode: (b) => decodeWith(HealthCheckRequest, b),
  read(r, end) {
    const m = HealthCheckRequest.create();
    while (r.pos < end) {
      const tag = r.varint32();
      if (tag === 10) m.service = r.string();
      else r.skip(tag);
    }
    return m;
  },
};

const HealthCheckResponse: Codec<HealthCheckResponse> = {
  typeName: 'grpc.health.v1.HealthCheckResponse',
  create: () => ({ status: 0 }),
  encode: (m) => encodeWith(HealthCheckResponse, m),
  write(m, w) {
    if (m.status !== undefined && m.status !== 0) {
      w.varint32(8);
      w.int64(m.status);
    }
  },
  decode: (b) => decodeWith(HealthCheckResponse, b),
  read(r, end) {
    const m = HealthCheckResponse.create();
    while (r.pos < end) {
      const tag = r.varint32();
      if (tag === 8) m.status = r.int32();
      else r.skip(tag);
    }
    return m;
  },
};

const method = (name: string, responseStream: boolean): MethodDef<HealthCheckRequest, HealthCheckResponse> => ({
  path: `/grpc.health.v1.Health/${name}`,
  service: 'grpc.health.v1.Health',
  name,
  request: HealthCheckRequest,
  response: HealthCheckResponse,
  requestStream: false,
  responseStream,
  httpPath: '',
});

interface HealthListResponse {
  /** A map on the wire: the service's name is the key, its answer the value. */
  statuses: readonly { readonly service: string; readonly status: number }[];
}

const HealthListRequest: Codec<object> = {
  typeName: 'grpc.health.v1.HealthListRequest',
  create: () => ({}),
  encode: (m) => encodeWith(HealthListRequest, m),
  write() {},
  decode: (b) => decodeWith(HealthListRequest, b),
  read(r, end) {
    while (r.pos < end) r.skip(r.varint32());
    return {};
  },
};

const HealthListResponse: Codec<HealthListResponse> = {
  typeName: 'grpc.health.v1.HealthListResponse',
  create: () => ({ statuses: [] }),
  encode: (m) => encodeWith(HealthListResponse, m),
  write(m, w) {
    for (const { service = '', status = 0 } of m.statuses ?? []) {
      const value = HealthCheckResponse.encode({ status });
      const key = Buffer.from(service);
      const entry = Buffer.concat([Buffer.of(10, key.length), key, Buffer.of(18, value.length), value]);
      w.varint32(10);
      w.bytes(entry);
    }
  },
  decode: (b) => decodeWith(HealthListResponse, b),
  read(r, end) {
    while (r.pos < end) r.skip(r.varint32());
    return { statuses: [] };
  },
};

const listMethod: MethodDef<object, HealthListResponse> = {
  path: '/grpc.health.v1.Health/List',
  service: 'grpc.health.v1.Health',
  name: 'List',
  request: HealthListRequest,
  response: HealthListResponse,
  requestStream: false,
  responseStream: false,
  httpPath: '',
};

/** Whether the server takes calls as a whole; told to those who watch. */
export class HealthState {
  #serving = true;
  readonly #log: Log;
  readonly #watchers = new Set<(status: number) => void>();

  constructor(log: Log) {
    this.#log = log;
  }

  get status(): number {
    return this.#serving ? serving : notServing;
  }

  set(on: boolean): void {
    if (on === this.#serving) return;
    this.#serving = on;
    this.log();
    for (const tell of this.#watchers) tell(this.status);
  }

  /** Writes the status into the log. */
  log(): void {
    this.#log.info('grpc service status changed', { service: '', status: this.#serving ? 'SERVING' : 'NOT_SERVING' });
  }

  /** @returns the way to stop */
  watch(tell: (status: number) => void): () => void {
    this.#watchers.add(tell);
    return () => void this.#watchers.delete(tell);
  }
}

export function registerHealth(table: HandlerTable, state: HealthState): void {
  table.addUnary<object, HealthListResponse>(listMethod, (call) => call.reply({ statuses: [{ service: '', status: state.status }] }));
  table.addUnary<HealthCheckRequest, HealthCheckResponse>(method('Check', false), (call) => {
    if (call.request.service === '') call.reply({ status: state.status });
    else call.fail({ code: Code.NotFound, message: 'unknown service' });
  });
  table.addStream<HealthCheckRequest, HealthCheckResponse>(method('Watch', true), (call) => {
    call.onMessage = (m) => {
      if (m.service !== '') {
        call.send({ status: serviceUnknown });
        return;
      }
      call.send({ status: state.status });
      const stop = state.watch((status) => call.send({ status }));
      call.onCancel = stop;
    };
  });
}
