// Random and mutated frame sequences and header blocks. WIRE_FUZZ_CASES sets how many (1000000 for the long form), WIRE_FUZZ_SEED where to begin.
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { KV, Watch } from '../../../src/api/gen/methods.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { HpackDecoder, type HeaderEntry } from '../../../src/wire/h2/hpack-decoder.ts';
import { H2Error } from '../../../src/wire/h2/frames.ts';
import { defaultWireLimits } from '../../../src/wire/limits.ts';
import { NativeBinding } from '../../../src/wire/native-server.ts';
import { GrpcServer } from '../../../src/wire/server-call.ts';
import { clock, handlers, newSeen, until } from './fixture.ts';
import { block, FakeSocket, frame, grpcFields, hpackInteger, hpackString, message, parseFrames, preface, TestClock, u32 } from './raw.ts';

const cases = Number(process.env.WIRE_FUZZ_CASES ?? 20_000);
const seed0 = Number(process.env.WIRE_FUZZ_SEED ?? 1);

/** Mutations of one valid sequence. */
const mutations = 16;

/** A client's HPACK encoder that uses every way to write a field. */
class RandomEncoder {
  readonly #random: SeededRandom;
  #table: (readonly [string, string])[] = [];
  #bytes = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  encode(fields: readonly (readonly [string, string])[]): Buffer {
    const out: Buffer[] = [];
    if (this.#random.float() < 0.05) {
      const size = this.#random.u32() % 4097;
      out.push(hpackInteger(0x20, 5, size), hpackInteger(0x20, 5, 4096));
      this.#evict(size);
    }
    for (const field of fields) out.push(this.#field(field));
    return Buffer.concat(out);
  }

  #field([name, value]: readonly [string, string]): Buffer {
    const r = this.#random;
    const whole = this.#table.findIndex(([n, v]) => n === name && v === value);
    if (whole >= 0 && r.float() < 0.8) return hpackInteger(0x80, 7, 62 + whole);
    const nameIndex = r.float() < 0.5 ? this.#table.findIndex(([n]) => n === name) : -1;
    const kind = r.float();
    const [pattern, prefix] = kind < 0.6 ? [0x40, 6] : kind < 0.8 ? [0x10, 4] : [0, 4];
    const out = [hpackInteger(pattern, prefix, nameIndex >= 0 ? 62 + nameIndex : 0)];
    if (nameIndex < 0) out.push(hpackString(name, r.float() < 0.5));
    out.push(hpackString(value, r.float() < 0.5));
    if (pattern === 0x40) {
      this.#table.unshift([name, value]);
      this.#bytes += name.length + value.length + 32;
      this.#evict(4096);
    }
    return Buffer.concat(out);
  }

  #evict(limit: number): void {
    while (this.#bytes > limit) {
      const [name, value] = this.#table.pop() as readonly [string, string];
      this.#bytes -= name.length + value.length + 32;
    }
  }
}

const paths = [KV.range.path, KV.put.path, Watch.watch.path, KV.rangeStream.path, '/foo.Bar/Baz', '/health'];
const pick = <T>(r: SeededRandom, list: readonly T[]): T => list[r.u32() % list.length] as T;

/** Frames of some valid calls, interleaved. */
function validFrames(r: SeededRandom, plainHttp: boolean): Buffer[] {
  const encoder = new RandomEncoder(r);
  const lines: Buffer[][] = [];
  const calls = 1 + (r.u32() % 6);
  const out: Buffer[] = [frame(4, 0, 0, r.float() < 0.5 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0, 4]), u32(r.u32() % 100_000)]))];
  for (let i = 0; i < calls; i++) {
    const id = i * 2 + 1;
    const path = pick(r, paths);
    const fields = grpcFields(path, [
      ...(r.float() < 0.5 ? [['grpc-timeout', `${10 + (r.u32() % 80)}S`] as const] : []),
      ...(r.float() < 0.5 ? [['token', 'a'.repeat(r.u32() % 60)] as const] : []),
      ...(r.float() < 0.3 ? [['x-bin', Buffer.from(r.bytes(r.u32() % 20)).toString('base64')] as const] : []),
      ...(r.float() < 0.2 ? [['x-many', 'one'] as const, ['x-many', 'two'] as const] : []),
    ]);
    // Requests of no known kind reach the HTTP handler as they are.
    if (plainHttp) fields.splice(4, 1, ['content-type', 'text/plain']);
    else if (path === '/health') fields.splice(4, 2);
    const headerBytes = encoder.encode(fields);
    const bodies = path === KV.put.path || path === KV.range.path || path === KV.rangeStream.path ? 1 : r.u32() % 4;
    const body = Buffer.concat(
      Array.from({ length: bodies }, (_, n) =>
        message(
          path === Watch.watch.path
            ? Watch.watch.request.encode({ createRequest: { key: r.bytes(r.u32() % 30), watchId: n } })
            : KV.put.request.encode({
                key: Buffer.from(path === KV.rangeStream.path ? 'n:2:10' : `k${r.u32()}`),
                ...(path === KV.put.path ? { value: r.bytes(r.u32() % 3_000) } : {}),
              }),
        ),
      ),
    );
    const line: Buffer[] = [];
    // HEADERS, padded or with priority, alone or with CONTINUATION: these stay together.
    const priority = r.float() < 0.2 ? Buffer.from([0, 0, 0, 0, 15]) : Buffer.alloc(0);
    const padding = r.float() < 0.2 ? r.u32() % 20 : -1;
    const cut = r.float() < 0.3 ? r.u32() % headerBytes.length : headerBytes.length;
    const noBody = body.length === 0 && r.float() < 0.5;
    const flags = (padding >= 0 ? 8 : 0) | (priority.length > 0 ? 32 : 0) | (cut === headerBytes.length ? 4 : 0) | (noBody ? 1 : 0);
    const head = [
      padding >= 0 ? Buffer.from([padding]) : Buffer.alloc(0),
      priority,
      headerBytes.subarray(0, cut),
      Buffer.alloc(Math.max(0, padding)),
    ];
    const frames = [frame(1, flags, id, Buffer.concat(head))];
    if (cut < headerBytes.length) frames.push(frame(9, 4, id, headerBytes.subarray(cut)));
    // Header blocks must be in the order in which they were encoded.
    out.push(...frames);
    if (!noBody) {
      let at = 0;
      const ends = r.float();
      while (at < body.length) {
        const n = Math.min(body.length - at, 1 + (r.u32() % 1_500));
        const last = at + n === body.length && ends < 0.6;
        const pad = r.float() < 0.15 ? r.u32() % 10 : -1;
        const piece = body.subarray(at, at + n);
        line.push(
          pad >= 0
            ? frame(0, 8 | (last ? 1 : 0), id, Buffer.concat([Buffer.from([pad]), piece, Buffer.alloc(pad)]))
            : frame(0, last ? 1 : 0, id, piece),
        );
        at += n;
      }
      if (body.length === 0 || ends >= 0.6)
        line.push(ends < 0.9 || body.length === 0 ? frame(0, 1, id) : frame(1, 5, id, block([['x-trailer', 'y']])));
    }
    lines.push(line);
  }
  while (lines.some((l) => l.length > 0)) {
    const line = pick(r, lines);
    const next = line.shift();
    if (next !== undefined) out.push(next);
    if (r.float() < 0.05) out.push(frame(6, 0, 0, r.bytes(8)));
    if (r.float() < 0.05) out.push(frame(8, 0, 0, u32(1 + (r.u32() % 1000))));
    if (r.float() < 0.03) out.push(frame(2, 0, 1 + 2 * (r.u32() % 20), Buffer.from([0, 0, 0, 0, 1])));
    if (r.float() < 0.03) out.push(frame(77, 0, 0, r.bytes(5)));
  }
  return out;
}

/** Breaks something. */
function mutate(r: SeededRandom, frames: readonly Buffer[]): Buffer {
  const list: Buffer[] = frames.map((f) => Buffer.from(f));
  for (let n = 1 + (r.u32() % 3); n > 0; n--) {
    const i = r.u32() % list.length;
    const f = list[i] as Buffer;
    switch (r.u32() % 9) {
      case 0:
        if (f.length > 0) f[r.u32() % f.length] = r.u32() & 255;
        break;
      case 1:
        list.splice(i, 1);
        if (list.length === 0) list.push(frame(4, 0, 0));
        break;
      case 2:
        list.splice(i, 0, f);
        break;
      case 3:
        list.splice(i, 0, frame(r.u32() % 11, r.u32() & 255, r.u32() % 16, r.bytes(r.u32() % 40)));
        break;
      case 4:
        if (f.length > 4) f[4] = r.u32() & 255;
        break;
      case 5:
        if (f.length >= 9) f.writeUInt32BE(r.u32() % 20, 5);
        break;
      case 6:
        list[i] = f.subarray(0, r.u32() % (f.length + 1));
        break;
      case 7: {
        const j = r.u32() % list.length;
        list[i] = list[j] as Buffer;
        list[j] = f;
        break;
      }
      default:
        list.push(frame(3, 0, 1 + 2 * (r.u32() % 6), u32(r.u32() % 14)));
    }
  }
  return Buffer.concat(list);
}

describe('fuzz', () => {
  it(`survives ${cases} mutated frame sequences`, async () => {
    const testClock = new TestClock();
    const errors: unknown[] = [];
    const seen = newSeen();
    const grpc = new GrpcServer({
      table: handlers(seen),
      limits: defaultWireLimits,
      clock: testClock,
      onHandlerError: (e) => errors.push(e),
    });
    const binding = new NativeBinding({ grpc, http: (_request, response) => response.end('x') });
    let calls = 0;
    let goaways = 0;
    let growth = 0;
    let base: Buffer[] = [];
    for (let i = 0; i < cases; i++) {
      // Making calls costs more than breaking them: each set is broken in many ways.
      if (i % mutations === 0) base = validFrames(new SeededRandom(seed0 + i), false);
      const r = new SeededRandom(seed0 + i + 0x5eed);
      const bytes = Buffer.concat([preface, mutate(r, base)]);
      const socket = new FakeSocket();
      if (r.float() < 0.1) socket.blocked = true;
      binding.accept(socket.duplex, undefined, { address: 'f', commonName: undefined, viaGateway: false }, false);
      const started = performance.now();
      try {
        for (let at = 0; at < bytes.length && !socket.destroyed;) {
          const n = 1 + (r.u32() % (r.float() < 0.3 ? 40 : 5_000));
          socket.emit('data', Buffer.from(bytes.subarray(at, at + n)));
          at += n;
        }
      } catch (error) {
        throw new Error(`seed ${seed0 + i}`, { cause: error });
      }
      if (performance.now() - started > 2_000) throw new Error(`seed ${seed0 + i} took ${performance.now() - started} ms`);
      // What we write is whole frames, whatever came.
      if (!socket.blocked && socket.take().some((f) => f.type === 7)) goaways++;
      calls += seen.calls.length;
      seen.calls.length = 0;
      seen.streams.length = 0;
      seen.cancels.length = 0;
      socket.destroy();
      if (grpc.openCalls !== 0 || binding.connections !== 0) throw new Error(`seed ${seed0 + i} left calls open`);
      if (i % 5_000 === 4_999) {
        await new Promise((resolve) => setImmediate(resolve));
        if (i === 4_999) growth = process.memoryUsage().heapUsed;
      }
    }
    expect(errors.filter((e) => (e as Error).message !== 'a bug')).toEqual([]);
    expect(calls).toBeGreaterThan(cases / 10);
    expect(goaways).toBeGreaterThan(cases / 10);
    expect(testClock.timers.size).toBeLessThan(10);
    if (growth > 0) expect(process.memoryUsage().heapUsed - growth).toBeLessThan(150_000_000);
    binding.close();
    grpc.close();
  }, 3_600_000);

  it(`survives ${cases} random header blocks`, () => {
    let decoder = new HpackDecoder({ tableBytes: 4_096, listBytesMax: 16_384, countMax: 128 });
    let fields = 0;
    for (let i = 0; i < cases; i++) {
      const r = new SeededRandom(seed0 + i);
      const valid = new RandomEncoder(r).encode(grpcFields(pick(r, paths), [['token', Buffer.from(r.bytes(30)).toString('hex')]]));
      const bytes = r.float() < 0.3 ? Buffer.from(r.bytes(r.u32() % 200)) : Buffer.from(valid);
      for (let n = r.u32() % 4; n > 0; n--) if (bytes.length > 0) bytes[r.u32() % bytes.length] = r.u32() & 255;
      const out: HeaderEntry[] = [];
      try {
        decoder.decode(bytes, 0, bytes.length, out);
      } catch (error) {
        if (!(error instanceof H2Error)) throw new Error(`seed ${seed0 + i}`, { cause: error });
        decoder = new HpackDecoder({ tableBytes: 4_096, listBytesMax: 16_384, countMax: 128 });
      }
      fields += out.length;
      expect(out.length).toBeLessThanOrEqual(128);
    }
    expect(fields).toBeGreaterThan(cases);
  }, 3_600_000);
});

/** One request as its handler saw it. */
interface Request {
  readonly path: string;
  readonly metadata: string;
  readonly body: string;
  readonly ended: boolean;
}

/** What `node:http2` makes of the bytes. */
async function asNodeSees(bytes: Buffer): Promise<Request[]> {
  const requests = new Map<number, { path: string; metadata: string; body: Buffer[]; ended: boolean }>();
  const server = createServer({ settings: { initialWindowSize: defaultWireLimits.streamWindowBytes } });
  let quietSince = Date.now();
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: unknown) => {
    const list = raw as string[];
    const metadata: string[] = [];
    for (let i = 0; i < list.length; i += 2) if (!(list[i] as string).startsWith(':')) metadata.push(`${list[i]}: ${list[i + 1]}`);
    const request = { path: String(headers[':path']), metadata: metadata.join('\n'), body: [] as Buffer[], ended: false };
    requests.set(stream.id ?? 0, request);
    stream.on('data', (d: Buffer) => {
      quietSince = Date.now();
      request.body.push(d);
    });
    stream.on('end', () => (request.ended = true));
    stream.on('error', () => {});
  });
  server.on('sessionError', () => {});
  let answered = false;
  let out: Buffer = Buffer.alloc(0);
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      out = Buffer.concat([out, chunk]);
      const { frames, rest } = parseFrames(out);
      out = Buffer.from(rest);
      // The last frame of the stream of bytes is a marked PING: its answer says that all before it was read.
      if (frames.some((f) => f.type === 6 && f.flags === 1 && f.payload.toString() === 'the end!')) answered = true;
      done();
    },
  });
  server.emit('connection', socket);
  socket.push(bytes);
  await until(() => answered && Date.now() - quietSince > 1, 5_000);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  server.close();
  return [...requests].sort((a, b) => a[0] - b[0]).map(([, q]) => ({ ...q, body: Buffer.concat(q.body).toString('hex') }));
}

/** What ours makes of them: every request shown as a plain HTTP one, so that nothing is judged. */
function asWeSee(bytes: Buffer, r: SeededRandom): Request[] {
  const requests: { path: string; metadata: string; body: Buffer[]; ended: boolean }[] = [];
  // node:http2 does not police pings.
  const grpc = new GrpcServer({ table: handlers(newSeen()), limits: { ...defaultWireLimits, keepaliveMinMs: 0 }, clock });
  const binding = new NativeBinding({
    grpc,
    http: (request) => {
      const seen = { path: request.path, metadata: '', body: [] as Buffer[], ended: false };
      requests.push(seen);
      request.onData = (chunk) => seen.body.push(Buffer.from(chunk));
      request.onEnd = () => (seen.ended = true);
      seen.metadata = [...request.headers].map(([n, v]) => `${n}: ${v}`).join('\n');
    },
  });
  const socket = new FakeSocket();
  binding.accept(socket.duplex, undefined, { address: 'd', commonName: undefined, viaGateway: false }, false);
  for (let at = 0; at < bytes.length;) {
    const n = 1 + (r.u32() % 2_000);
    socket.emit('data', Buffer.from(bytes.subarray(at, at + n)));
    at += n;
  }
  binding.close();
  grpc.close();
  return requests.map((q) => ({ ...q, body: Buffer.concat(q.body).toString('hex') }));
}

describe('differential', () => {
  const rounds = Math.min(2_000, Math.max(150, Math.floor(cases / 100)));

  it(`sees the same requests as node:http2 in ${rounds} streams of bytes`, async () => {
    let requests = 0;
    for (let i = 0; i < rounds; i++) {
      const r = new SeededRandom(seed0 * 7_919 + i);
      const bytes = Buffer.concat([preface, ...validFrames(r, true), frame(6, 0, 0, Buffer.from('the end!'))]);
      const [ours, theirs] = [asWeSee(bytes, r), await asNodeSees(bytes)];
      expect(ours.map(joined), `seed ${seed0 * 7_919 + i}`).toEqual(theirs.map(joined));
      requests += ours.length;
    }
    expect(requests).toBeGreaterThan(rounds);
  }, 3_600_000);
});

/** Repeated headers as one line, in the order of their first. */
function joined(q: Request): Request {
  const values = new Map<string, string[]>();
  for (const line of q.metadata.split('\n')) {
    const cut = line.indexOf(': ');
    const name = line.slice(0, cut);
    values.set(name, [...(values.get(name) ?? []), line.slice(cut + 2)]);
  }
  return { ...q, metadata: [...values].map(([n, v]) => `${n}: ${v.join(', ')}`).join('\n') };
}
