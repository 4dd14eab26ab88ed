// Calls to one server, with messages as plain objects: bytes are base64, 64-bit numbers are strings, enums are numbers. What a server left out
// of a message is missing in the object, so that an explicit default shows as a difference.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

export const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(join(import.meta.dirname, '../../data/wire/etcd-3.7.1.json'), 'utf8')));
const toJs = { longs: String, bytes: String };

const methods = new Map();
/** `KV/Range` → codecs and path. */
function methodOf(name) {
  let m = methods.get(name);
  if (m === undefined) {
    const [service, method] = name.split('/');
    const pkg = service === 'Lock' ? 'v3lockpb' : service === 'Election' ? 'v3electionpb' : 'etcdserverpb';
    const owner = root.lookupService(`${pkg}.${service}`);
    const def = owner.methods[method];
    m = {
      path: `/${pkg}.${service}/${method}`,
      request: owner.parent.lookupType(def.requestType),
      response: owner.parent.lookupType(def.responseType),
    };
    methods.set(name, m);
  }
  return m;
}

const limits = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.use_local_subchannel_pool': 1,
};

/** Time a call gets before it counts as hanging. */
const deadlineMs = 20_000;

export class Target {
  kind;
  #client;

  constructor(server) {
    this.kind = server.kind;
    this.#client = new grpc.Client(server.address, grpc.credentials.createInsecure(), limits);
  }

  close() {
    this.#client.close();
  }

  #metadata(token) {
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set('token', token);
    return metadata;
  }

  /** `{ reply }` or `{ error: { code, message } }` */
  unary(name, message, token) {
    const m = methodOf(name);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        m.path,
        (v) => Buffer.from(m.request.encode(m.request.fromObject(v)).finish()),
        (b) => m.response.toObject(m.response.decode(b), toJs),
        message,
        this.#metadata(token),
        { deadline: Date.now() + deadlineMs },
        (error, reply) => resolve(error ? { error: { code: error.code, message: error.details } } : { reply }),
      );
    });
  }

  /** A stream; `messages` grows, `end` is set when it is over. */
  stream(name, token, deadline) {
    const m = methodOf(name);
    const call = this.#client.makeBidiStreamRequest(
      m.path,
      (v) => Buffer.from(m.request.encode(m.request.fromObject(v)).finish()),
      (b) => m.response.toObject(m.response.decode(b), toJs),
      this.#metadata(token),
      deadline === undefined ? {} : { deadline: Date.now() + deadline },
    );
    const stream = {
      messages: [],
      end: undefined,
      wake: () => {},
      send: (message) => call.write(message),
      halfClose: () => call.end(),
      cancel: () => call.cancel(),
      /** Resolves when `test()` holds, the stream is over, or `ms` have passed. */
      async until(test, ms = 10_000) {
        const end = Date.now() + ms;
        while (!test() && this.end === undefined && Date.now() < end) {
          await new Promise((resolve) => {
            const timer = setTimeout(resolve, Math.min(100, end - Date.now() + 1));
            this.wake = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        }
        return test();
      },
    };
    call.on('data', (message) => {
      stream.messages.push(message);
      stream.wake();
    });
    call.on('error', () => {});
    call.on('status', (status) => {
      stream.end = { code: status.code, message: status.details };
      stream.wake();
    });
    return stream;
  }

  /** Everything a stream with one request answers. */
  async collect(name, message, token) {
    const stream = this.stream(name, token, deadlineMs);
    stream.send(message);
    stream.halfClose();
    await stream.until(() => false, deadlineMs);
    return { messages: stream.messages, end: stream.end };
  }
}
