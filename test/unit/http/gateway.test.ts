// The JSON gateway: the mapping's corners (each answer compared with a real etcd 3.7.1 once), bodies in pieces, WebSocket.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JsonEnd, JsonError, JsonReader } from '../../../src/server/http/json-reader.ts';
import { messageFromJson, messageToJson } from '../../../src/server/http/proto-json.ts';
import { type EmbeddedMember, startMember } from '../../../src/server/embed.ts';

const range = (text: string): Record<string, unknown> => messageFromJson('etcdserverpb.RangeRequest', new JsonReader(text).next(), text);

describe('messages from JSON', () => {
  it.each([
    ['{"key":"YQ==","limit":1e2}', 100],
    ['{"limit":"1.0"}', 1],
    ['{"limit":1.0}', 1],
    ['{"limit":-0}', 0],
    ['{"limit":12.50e1}', 125],
    ['{"limit":"100e-2"}', 1],
    ['{"limit":9223372036854775807}', Number.MAX_SAFE_INTEGER],
    ['{"limit":"-9223372036854775808"}', -Number.MAX_SAFE_INTEGER],
  ])('%s is a whole number', (text, limit) => {
    expect(range(text)['limit']).toBe(limit);
  });

  it('keeps 64-bit ids exact, as numbers and as text', () => {
    const lease = (text: string): unknown => messageFromJson('etcdserverpb.PutRequest', new JsonReader(text).next(), text)['lease'];
    expect(lease('{"lease":9223372036854775807}')).toBe(2n ** 63n - 1n);
    expect(lease('{"lease":"-9223372036854775808"}')).toBe(-(2n ** 63n));
  });

  it.each([
    ['{"key":"YQ==","limit":" 1"}', 'proto: (line 1:23): invalid value for int64 field limit: " 1"'],
    ['{"key":"YQ==","limit":""}', 'proto: (line 1:23): invalid value for int64 field limit: ""'],
    ['{"key":"YQ==="}', 'proto: (line 1:8): invalid value for bytes field key: "YQ==="'],
    ['{"key":"YQ\\n=="}', 'proto: (line 1:8): invalid value for bytes field key: "YQ\\n=="'],
    ['{"key":"YQ==","key":"Yg=="}', 'proto: (line 1:15): duplicate field "key"'],
    ['{"key":"YQ==","range_end":"AA==","rangeEnd":"AA=="}', 'proto: (line 1:34): duplicate field "rangeEnd"'],
    ['{\n "limit": 1.5}', 'proto: (line 2:11): invalid value for int64 field limit: 1.5'],
    ['{"limit":9223372036854775808}', 'proto: (line 1:10): invalid value for int64 field limit: 9223372036854775808'],
    ['{"limit":1e400}', 'proto: (line 1:10): invalid value for int64 field limit: 1e400'],
    ['{"serializable":1}', 'proto: (line 1:17): invalid value for bool field serializable: 1'],
    ['[]', 'proto: syntax error (line 1:1): unexpected token ['],
    ['null', 'proto: syntax error (line 1:1): unexpected token null'],
  ])('%s is refused', (text, message) => {
    expect(() => range(text)).toThrow(new JsonError(message));
  });

  it('takes one member of a oneof, and no null in a list', () => {
    const txn = (text: string): unknown => messageFromJson('etcdserverpb.TxnRequest', new JsonReader(text).next(), text);
    expect(() => txn('{"compare":[{"key":"YQ==","version":"1","lease":"2"}]}')).toThrow(
      'proto: (line 1:41): error parsing "lease", oneof etcdserverpb.Compare.target_union is already set',
    );
    expect(() => txn('{"success":[null]}')).toThrow('proto: syntax error (line 1:13): unexpected token null');
  });

  it('ignores what it does not know', () => {
    expect(range('{"sort_order":"SIDEWAYS","unknown":{"a":[1,{"b":null}]},"limit":null,"sortTarget":"MOD"}')).toEqual({ sortTarget: 3 });
  });

  it('reads base64 of either alphabet, padded or not', () => {
    for (const text of ['/+8=', '_-8=', '/+8', '_-8']) expect(range(`{"key":"${text}"}`)['key']).toEqual(Buffer.from([255, 239]));
    for (const text of ['/-8=', 'A', 'AAAA=', 'A===', 'YQ ==']) expect(() => range(`{"key":"${text}"}`)).toThrow('invalid value for bytes');
  });
});

describe('the JSON reader', () => {
  it('tells a text that is cut off from one that is wrong', () => {
    const whole = '{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n\\"x"],"b":{}} ';
    for (let n = 1; n < whole.length - 1; n++) expect(() => new JsonReader(whole.slice(0, n)).next(), whole.slice(0, n)).toThrow(JsonEnd);
    expect(new JsonReader(whole).next().kind).toBe('object');
    for (const bad of ['{a:1}', '{"a" 1}', '[1 2]', '[1,]', '{"a":1,}', '"\x01"', '"\\x"', '01x', 'nul1', '+1', '{"a":.5}'])
      expect(() => {
        const r = new JsonReader(bad);
        while (!r.atEnd()) r.next();
      }, bad).toThrow(JsonError);
  });

  it('S-082, S-117: bounds nesting', () => {
    expect(() => new JsonReader('['.repeat(5000)).next()).toThrow('exceeded max depth');
  });
});

describe('messages to JSON', () => {
  it('leave defaults out, write 64 bits as text and enums by name', () => {
    const message = {
      header: { clusterId: 2n ** 64n - 1n, memberId: 0n, revision: 5, raftTerm: 0 },
      watchId: -1,
      created: true,
      canceled: false,
      compactRevision: 0,
      cancelReason: 'a"b',
      fragment: false,
      events: [
        { type: 1, kv: { key: Buffer.from([255]), createRevision: 0, modRevision: 7, version: 0, value: Buffer.alloc(0), lease: -1n } },
        { type: 9, kv: undefined, prevKv: undefined },
      ],
    };
    expect(messageToJson('etcdserverpb.WatchResponse', message)).toBe(
      '{"header":{"cluster_id":"18446744073709551615","revision":"5"},"watch_id":"-1","created":true,"cancel_reason":"a\\"b",' +
        '"events":[{"type":"DELETE","kv":{"key":"/w==","mod_revision":"7","lease":"-1"}},{"type":9}]}',
    );
  });
});

describe('over the network', () => {
  let member: EmbeddedMember;
  let port: number;
  beforeAll(async () => {
    member = await startMember({ listen: true });
    port = Number(new URL(member.endpoints[0]!).port);
  });
  afterAll(() => member.close());

  const post = (path: string, pieces: readonly string[], headers: Record<string, string> = {}) =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method: 'POST', path, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (d: string) => (text += d));
        response.on('end', () => resolve({ status: response.statusCode, text }));
      });
      request.on('error', reject);
      void (async () => {
        for (const piece of pieces) {
          request.write(piece);
          await new Promise((next) => setTimeout(next, 5));
        }
        request.end();
      })();
    });

  it('takes requests of a stream in pieces, several in one body', async () => {
    await post('/v3/lease/grant', ['{"ID":"7","TTL":"60"}']);
    const body = ['{"I', 'D":"7"}{"ID"', ':"8"}', '\n\n{"ID":7}'];
    const { status, text } = await post('/v3/lease/keepalive', body);
    const lines = text
      .trim()
      .split('\n')
      .map((l) => (JSON.parse(l) as { result: { ID: string; TTL?: string } }).result);
    expect([status, lines.map((l) => [l.ID, l.TTL])]).toEqual([
      200,
      [
        ['7', '60'],
        ['8', undefined],
        ['7', '60'],
      ],
    ]);
  });

  it('answers errors with their status, before and in a stream', async () => {
    expect(await post('/v3/election/observe', ['{"x"'])).toEqual({ status: 400, text: '{"code":3,"message":"unexpected EOF"}' });
    expect(await post('/v3/kv/range', ['{"key":"YQ=="}'], { 'grpc-timeout': 'zz' })).toEqual({
      status: 400,
      text: '{"code":3,"message":"invalid grpc-timeout: zz"}',
    });
    const lines = await new Promise<string[]>((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method: 'POST', path: '/v3/lease/keepalive', agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (d: string) => {
          text += d;
          if (!request.writableEnded && text.includes('result')) request.end('{"ID":"x"}');
        });
        response.on('end', () => resolve(text.trim().split('\n')));
      });
      request.on('error', reject);
      request.write('{"ID":"7"}');
    });
    expect(lines[0]).toContain('"result"');
    // What follows cannot be understood: the stream ends there.
    expect(lines).toHaveLength(1);
    expect((await post('/v3/kv/put', ['\xff'])).status).toBe(400);
  });

  it('refuses what is too large', async () => {
    const value = Buffer.alloc(2_200_000, 1).toString('base64');
    const { status, text } = await post('/v3/kv/put', [`{"key":"YQ==","value":"${value}"}`]);
    expect([status, (JSON.parse(text) as { code: number }).code]).toEqual([429, 8]);
  });

  it('speaks WebSocket', async () => {
    const watch = await WebSocketClient.open(port, '/v3/watch');
    watch.send('{"create_request":{"key":"d3M="}}');
    expect(await watch.next()).toMatchObject({ result: { created: true } });
    watch.send('{"create_req', false);
    watch.send('uest":{"key":"d3My"}}', true, 0);
    expect(await watch.next()).toMatchObject({ result: { created: true, watch_id: '1' } });
    await member.client.put('ws', 'x'.repeat(70_000));
    expect(await watch.next()).toMatchObject({ result: { events: [{ kv: { key: 'd3M=' } }] } });
    watch.frame(9, Buffer.from('hi'), true);
    expect(await watch.pong()).toBe('hi');

    const put = await WebSocketClient.open(port, '/v3/kv/put');
    put.send('{"key":"d3M="}');
    expect(await put.next()).toMatchObject({ header: {} });
    await put.closed;
    watch.close();
    await watch.closed;

    const bad = await WebSocketClient.open(port, '/v3/kv/put');
    bad.frame(1, Buffer.from('{}'), true, false);
    await bad.closed;
    expect(await WebSocketClient.refused(port, '/nope')).toContain('404');
  });
});

/** As much of a WebSocket client as the test needs. */
class WebSocketClient {
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #messages: string[] = [];
  readonly #pongs: string[] = [];
  #input: Buffer = Buffer.alloc(0);

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
    socket.on('data', (d: Buffer) => this.#read(d));
    socket.on('end', () => socket.end());
  }

  static #hello(port: number, path: string, key: string): Promise<{ socket: net.Socket; head: string; rest: Buffer }> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', reject);
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      );
      let input = Buffer.alloc(0);
      const read = (d: Buffer): void => {
        input = Buffer.concat([input, d]);
        const end = input.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', read);
        resolve({ socket, head: input.subarray(0, end).toString(), rest: input.subarray(end + 4) });
      };
      socket.on('data', read);
    });
  }

  static async open(port: number, path: string): Promise<WebSocketClient> {
    const key = randomBytes(16).toString('base64');
    const { socket, head, rest } = await this.#hello(port, path, key);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    expect(head).toContain('101');
    expect(head).toContain(accept);
    const client = new WebSocketClient(socket);
    client.#read(rest);
    return client;
  }

  static async refused(port: number, path: string): Promise<string> {
    const { socket, head } = await this.#hello(port, path, 'AAAAAAAAAAAAAAAAAAAAAA==');
    socket.destroy();
    return head;
  }

  #read(d: Buffer): void {
    this.#input = Buffer.concat([this.#input, d]);
    for (;;) {
      const input = this.#input;
      if (input.length < 2) return;
      let length = input.readUInt8(1);
      let at = 2;
      if (length === 126) [length, at] = [input.length < 4 ? Infinity : input.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [input.length < 10 ? Infinity : Number(input.readBigUInt64BE(2)), 10];
      if (input.length < at + length) return;
      const payload = input.subarray(at, at + length).toString();
      const kind = input.readUInt8(0) & 15;
      if (kind === 1) this.#messages.push(payload);
      if (kind === 10) this.#pongs.push(payload);
      this.#input = input.subarray(at + length);
    }
  }

  frame(kind: number, payload: Buffer, fin: boolean, masked = true): void {
    const mask = masked ? randomBytes(4) : Buffer.alloc(0);
    const head = Buffer.from([(fin ? 128 : 0) | kind, (masked ? 128 : 0) | payload.length]);
    const body = masked ? Buffer.from(payload.map((b, i) => b ^ mask[i & 3]!)) : payload;
    this.#socket.write(Buffer.concat([head, mask, body]));
  }

  send(text: string, fin = true, kind = 1): void {
    this.frame(kind, Buffer.from(text), fin);
  }

  close(): void {
    this.frame(8, Buffer.from([3, 232]), true);
  }

  async #take(list: string[]): Promise<string> {
    for (let i = 0; list.length === 0; i++) {
      if (i > 2000) throw new Error('no message');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return list.shift()!;
  }

  async next(): Promise<unknown> {
    return JSON.parse(await this.#take(this.#messages)) as unknown;
  }

  pong(): Promise<string> {
    return this.#take(this.#pongs);
  }
}
