/** gRPC's own health service: the server as a whole is serving; it knows no names of single services. */
import { decodeWith, encodeWith, type Codec } from '../../api/proto-io.ts';
import type { MethodDef } from '../../api/gen/methods.ts';
import { Code } from '../../api/status.ts';
import type { HandlerTable } from '../../wire/call.ts';

interface HealthCheckRequest {
  service: string;
}
interface HealthCheckResponse {
  status: number;
}
const serving = 1;
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

export function registerHealth(table: HandlerTable): void {
  table.addUnary<HealthCheckRequest, HealthCheckResponse>(method('Check', false), (call) => {
    if (call.request.service === '') call.reply({ status: serving });
    else call.fail({ code: Code.NotFound, message: 'unknown service' });
  });
  table.addStream<HealthCheckRequest, HealthCheckResponse>(method('Watch', true), (call) => {
    call.onMessage = (m) => {
      call.send({ status: m.service === '' ? serving : serviceUnknown });
    };
  });
}
