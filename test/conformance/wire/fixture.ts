// Handlers that show every side of a call, and the bindings and channels that carry them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PutRequest, PutResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KV, Lease, Maintenance, Watch } from '../../../src/api/gen/methods.ts';
import { errors } from '../../../src/api/status.ts';
import { fromLatin1, latin1, utf8, utf8Text } from '../../../src/base/bytes.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { HandlerTable, type StreamCall, type UnaryCall, type UnaryHandler } from '../../../src/wire/call.ts';
import type { Channel } from '../../../src/wire/channel.ts';
import type { ChannelOptions, ChannelTls } from '../../../src/wire/channel-options.ts';
import { connectHttp2 } from '../../../src/wire/http2-channel.ts';
import { connectGrpcJs } from '../../../src/wire/grpc-js-channel.ts';
import type { HttpHandler, UpgradeHandler } from '../../../src/wire/http.ts';
import { readBody } from '../../../src/wire/http.ts';
import { InProcessChannel } from '../../../src/wire/in-process.ts';
import { defaultWireLimits, type WireLimits } from '../../../src/wire/limits.ts';
import { Listener, type BindingKind, type ListenAddress, type ListenerTls } from '../../../src/wire/listener.ts';
import type { WireObserver } from '../../../src/wire/observer.ts';
import { GrpcServer } from '../../../src/wire/server-call.ts';

export const clock = new RealClock();

/** What the handlers saw, for the tests to look at. */
export interface Seen {
  cancels: string[];
  calls: (UnaryCall | StreamCall)[];
  halfCloses: number;
  streams: StreamCall[];
  received: number;
  /** Times a handler was told to wait for its client. */
  waits: number;
}

/**
 * Range: the key says what happens. `hang` never answers; `fail:TEXT` fails; `throw` throws; `meta` answers with the metadata it saw; `big:N`
 * answers N bytes; `parts:N` the same, encoded, in parts; `flow:N` the same, announced and sent in pieces; `later` answers in a later turn; anything else is echoed as the count of its bytes.
 * Put: answers the value's length as revision. RangeStream: key `n:COUNT:BYTES` sends so many messages with back-pressure. Watch: echoes each
 * create request's key as an event, `end` ends, `fail` fails. LeaseKeepAlive: pauses its input until the test resumes it.
 */
export function handlers(seen: Seen): HandlerTable {
  const table = new HandlerTable();
  table.addUnary(KV.range, (call) => {
    seen.calls.push(call as UnaryCall);
    const key = utf8Text(call.request.key);
    const [verb, arg] = key.split(':', 2) as [string, string | undefined];
    switch (verb) {
      case 'hang':
        call.onCancel = () => seen.cancels.push(key);
        return;
      case 'fail':
        call.fail({ code: 9, message: key.slice(5) });
        return;
      case 'etcd':
        call.fail(errors.compacted);
        return;
      case 'meta': {
        const kvs = [...call.metadata].flatMap(([name, values]) =>
          values.map((v) => ({ ...kv(name), value: typeof v === 'string' ? fromLatin1(v) : v })),
        );
        call.reply({ header: undefined, kvs, more: false, count: kvs.length });
        return;
      }
      case 'big':
        call.reply({ header: undefined, kvs: [{ ...kv('k'), value: new Uint8Array(Number(arg)).fill(120) }], more: false, count: 1 });
        return;
      case 'parts': {
        const whole = KV.range.response.encode({ kvs: [{ key: utf8('k'), value: new Uint8Array(Number(arg)).fill(121) }], count: 1 });
        const cut = whole.length >> 1;
        call.replyEncoded([whole.subarray(0, cut), new Uint8Array(0), whole.subarray(cut)]);
        return;
      }
      // The same in pieces as the client takes them; `held` keeps the last one back, `broken` fails instead of it.
      case 'flow':
      case 'held':
      case 'broken': {
        const whole = KV.range.response.encode({ kvs: [{ key: utf8('k'), value: new Uint8Array(Number(arg)).fill(121) }], count: 1 });
        if (call.replyBegin === undefined) {
          if (verb === 'flow') call.replyEncoded([whole]);
          else if (verb === 'broken') call.fail(errors.compacted);
          else call.onCancel = () => seen.cancels.push(key);
          return;
        }
        call.onCancel = () => seen.cancels.push(key);
        if (!call.replyBegin(whole.length)) return;
        let at = 0;
        const go = (): void => {
          for (let room = true; room && at < whole.length;) {
            const end = Math.min(at + 10_000, whole.length);
            if (end === whole.length && verb !== 'flow') {
              if (verb === 'broken') call.fail(errors.compacted);
              return;
            }
            room = call.replyPart?.([whole.subarray(at, end), new Uint8Array(0)]) === true;
            if (!room) seen.waits++;
            at = end;
          }
        };
        call.onDrain = go;
        go();
        return;
      }
      case 'announce':
        if (call.replyBegin === undefined || call.replyBegin(Number(arg))) call.fail(errors.compacted);
        return;
      case 'later':
        setImmediate(() => call.reply({ header: undefined, kvs: [], more: false, count: key.length }));
        return;
      case 'twice':
        call.reply({ header: undefined, kvs: [], more: false, count: 1 });
        call.fail(errors.compacted);
        call.reply({ header: undefined, kvs: [], more: false, count: 2 });
        return;
      case 'deadline':
        call.reply({
          header: undefined,
          kvs: [],
          more: false,
          count: call.deadline === Infinity ? 0 : Math.round(call.deadline - clock.mono()),
        });
        return;
      default:
        call.reply({ header: undefined, kvs: [], more: false, count: key.length });
    }
  });
  const put: UnaryHandler<PutRequest, PutResponse> = (call) => {
    seen.received += call.request.value.length;
    call.reply({
      header: { clusterId: 1n, memberId: 2n, revision: call.request.value.length, raftTerm: 3 },
      prevKv: undefined,
    });
  };
  table.addUnary(KV.put, put, true);
  table.addStream(KV.rangeStream, (call) => {
    seen.streams.push(call as StreamCall);
    let left = 0;
    let body = new Uint8Array(0);
    const pump = (): void => {
      while (left > 0) {
        left--;
        if (!call.send({ rangeResponse: { header: undefined, kvs: [{ ...kv('k'), value: body }], more: left > 0, count: left } })) {
          call.onDrain = pump;
          if (left > 0) return;
        }
      }
      call.end();
    };
    call.onMessage = (request) => {
      const [, count, bytes] = utf8Text(request.key).split(':');
      left = Number(count);
      body = new Uint8Array(Number(bytes)).fill(7);
    };
    call.onHalfClose = pump;
    call.onCancel = () => seen.cancels.push('rangeStream');
  });
  table.addStream(Watch.watch, (call) => {
    seen.streams.push(call as StreamCall);
    call.onMessage = (request) => {
      const create = request.createRequest;
      if (create === undefined) return;
      const key = latin1(create.key);
      if (key === 'end') call.end();
      else if (key === 'fail') call.fail({ code: 5, message: 'no such thing' });
      else if (key === 'throw') throw new TypeError('a bug');
      else call.send({ ...Watch.watch.response.create(), watchId: create.watchId, created: true, cancelReason: key.slice(0, 100) });
    };
    call.onHalfClose = () => {
      seen.halfCloses++;
    };
    call.onCancel = () => seen.cancels.push('watch');
  });
  table.addStream(Lease.leaseKeepAlive, (call) => {
    seen.streams.push(call as StreamCall);
    call.onMessage = (request) => {
      seen.received++;
      call.send({ header: undefined, ID: request.ID, TTL: 1 });
      if (request.ID === 1n) call.pause();
    };
    call.onHalfClose = () => call.end();
    call.onCancel = () => seen.cancels.push('keepAlive');
  });
  table.addStream(Maintenance.snapshot, (call) => {
    call.onMessage = () => {
      call.fail({ code: 14, message: 'at once' });
    };
  });
  return table;
}

function kv(key: string) {
  return { key: utf8(key), value: new Uint8Array(0), createRevision: 0, modRevision: 0, version: 0, lease: 0n };
}

export interface ServerOptions {
  readonly binding: BindingKind;
  readonly limits?: Partial<WireLimits>;
  readonly tls?: ListenerTls;
  readonly unix?: boolean;
  readonly port?: number;
  readonly observer?: WireObserver;
  readonly http?: HttpHandler;
  readonly upgrade?: UpgradeHandler;
}

export class TestServer {
  readonly seen: Seen;
  readonly errors: unknown[];
  readonly grpc: GrpcServer;
  readonly listener: Listener;
  readonly secure: boolean;
  readonly #dir: string | undefined;

  private constructor(seen: Seen, errors: unknown[], grpc: GrpcServer, listener: Listener, secure: boolean, dir: string | undefined) {
    this.seen = seen;
    this.errors = errors;
    this.grpc = grpc;
    this.listener = listener;
    this.secure = secure;
    this.#dir = dir;
  }

  static async start(options: ServerOptions): Promise<TestServer> {
    const seen = newSeen();
    const errors: unknown[] = [];
    const grpc = new GrpcServer({
      table: handlers(seen),
      limits: { ...defaultWireLimits, ...options.limits },
      clock,
      observer: options.observer,
      onHandlerError: (error) => errors.push(error),
    });
    const listener = new Listener({
      grpc,
      http: options.http ?? echoHttp,
      upgrade: options.upgrade,
      tls: options.tls,
      binding: options.binding,
    });
    const dir = options.unix === true ? mkdtempSync(join(tmpdir(), 'wire-')) : undefined;
    const address: ListenAddress = dir === undefined ? { host: '127.0.0.1', port: options.port ?? 0 } : { path: join(dir, 's.sock') };
    await listener.listen(address);
    return new TestServer(seen, errors, grpc, listener, options.tls !== undefined, dir);
  }

  get port(): number {
    return this.listener.port;
  }

  async stop(): Promise<void> {
    await this.listener.close(0);
    this.grpc.close();
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }
}

export function newSeen(): Seen {
  return { cancels: [], calls: [], halfCloses: 0, streams: [], received: 0, waits: 0 };
}

/** Answers what it was asked, as text. */
const echoHttp: HttpHandler = (request, response) => {
  if (request.path === '/stream') {
    response.head(200, { 'content-type': 'text/plain' });
    response.write('one\n');
    setTimeout(() => {
      response.write('two\n');
      response.end();
    }, 10);
    return;
  }
  if (request.path.startsWith('/big')) {
    let left = 64;
    const piece = Buffer.alloc(65_536, 'z');
    const pump = (): void => {
      while (left > 0) {
        left--;
        if (!response.write(piece)) {
          response.onDrain = pump;
          return;
        }
      }
      response.end();
    };
    pump();
    return;
  }
  readBody(request, 100_000, (body, aborted) => {
    if (aborted) return;
    if (body === undefined) {
      response.head(413, {});
      response.end('too large');
      return;
    }
    response.head(request.path === '/missing' ? 404 : 200, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Test': ['a', 'b'] });
    response.end(
      `${request.method} ${request.path} ${request.headers.get('x-one') ?? '-'} ${request.host.split(':')[0]} ${utf8Text(body)}`,
    );
  });
};

export type ChannelKind = 'grpc-js' | 'http2' | 'in-process' | 'in-process-direct';

export const channelOptions: ChannelOptions = {
  tls: undefined,
  connectTimeoutMs: 2_000,
  keepaliveMs: 0,
  keepaliveTimeoutMs: 1_000,
  sendBytesMax: 4_194_304,
  receiveBytesMax: 2_147_483_647,
};

export function connect(kind: ChannelKind, server: TestServer, tls?: ChannelTls, more?: Partial<ChannelOptions>): Channel {
  const address = server.port === 0 ? server.listener.address : `127.0.0.1:${server.port}`;
  const target = { text: address, address, secure: server.secure, unix: server.port === 0 };
  const options = { ...channelOptions, ...more, tls };
  switch (kind) {
    case 'grpc-js':
      return connectGrpcJs(target, options);
    case 'http2':
      return connectHttp2(target, options);
    default:
      return new InProcessChannel({
        table: handlers(server.seen),
        clock,
        encoded: kind === 'in-process',
        onHandlerError: (error) => server.errors.push(error),
      });
  }
}

/** Waits for something that comes about by itself. */
export async function until(what: () => boolean, ms = 5_000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`did not come about within ${ms} ms: ${what.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
