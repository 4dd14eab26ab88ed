/**
 * The JSON gateway over WebSocket (RFC 6455), for clients that cannot read a streamed HTTP answer: every path of the gateway takes an upgrade.
 * A message of the client is one JSON request, a message to the client one line of the answer. The token comes as an `Authorization` header
 * or, from browsers, as the second of two subprotocols: `Bearer, TOKEN`.
 *
 * Frame: 1 bit FIN, 3 bits 0, 4 bits opcode; 1 bit mask, 7 bits length (126: 16 bits follow, 127: 64 bits); 4 bytes of mask (from clients
 * always); payload.
 */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { HttpHeaders, HttpRequest, HttpResponse } from '../../wire/http.ts';
import { Gateway } from './gateway.ts';

const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const closeCode = { normal: 1000, protocol: 1002, tooBig: 1009 } as const;
const controlBytesMax = 125;
const emptyPayload = Buffer.alloc(0);

/** Takes over the socket of an upgrade request for one of the gateway's paths. */
export function upgradeGateway(gateway: Gateway, request: HttpRequest, socket: Duplex, head: Uint8Array): void {
  if (!Gateway.owns(request.path)) {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const key = request.headers.get('sec-websocket-key');
  if (
    request.headers.get('upgrade')?.toLowerCase() !== 'websocket' ||
    key === undefined ||
    request.headers.get('sec-websocket-version') !== '13'
  ) {
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const protocols = request.headers.get('sec-websocket-protocol') ?? '';
  const accept = createHash('sha1')
    .update(key + acceptSuffix)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
      `${protocols.startsWith('Bearer') ? 'Sec-WebSocket-Protocol: Bearer\r\n' : ''}\r\n`,
  );
  new WebSocketCall(gateway, request, socket, protocols).feed(Buffer.from(head));
}

class WebSocketCall {
  readonly #socket: Duplex;
  readonly #request: SocketRequest;
  readonly #response: SocketResponse;
  readonly #bytesMax: number;
  /** The call takes one request: it begins when that is there. */
  readonly #single: boolean;
  #input: Buffer = emptyPayload;
  #message: Buffer[] = [];
  #messageBytes = 0;
  #open = true;

  constructor(gateway: Gateway, request: HttpRequest, socket: Duplex, protocols: string) {
    this.#socket = socket;
    this.#bytesMax = gateway.bodyBytesMax;
    this.#single = gateway.route(request.path)?.requestStream !== true;
    const headers = new Map(request.headers);
    const token = /^Bearer\s*,\s*(\S+)/.exec(protocols)?.[1];
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    this.#request = new SocketRequest(request, headers, socket);
    this.#response = new SocketResponse(
      (line) => this.#frame(opcode.text, line),
      () => this.#close(closeCode.normal),
    );
    socket.on('data', (chunk: Buffer) => this.feed(chunk));
    socket.on('drain', () => this.#response.onDrain?.());
    const gone = (): void => {
      if (!this.#open) return;
      this.#open = false;
      this.#request.onAbort?.();
    };
    socket.on('end', () => {
      gone();
      socket.end();
    });
    socket.on('error', gone);
    socket.on('close', gone);
    gateway.handle(this.#request, this.#response);
  }

  feed(chunk: Buffer): void {
    if (!this.#open) return;
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    while (this.#open && this.#takeFrame());
  }

  /** False when no whole frame is there. */
  #takeFrame(): boolean {
    const input = this.#input;
    if (input.length < 2) return false;
    const first = input.readUInt8(0);
    const second = input.readUInt8(1);
    let at = 2;
    let length = second & 127;
    if (length === 126) {
      if (input.length < 4) return false;
      length = input.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (input.length < 10) return false;
      const long = input.readBigUInt64BE(2);
      length = long > BigInt(this.#bytesMax) ? this.#bytesMax + 1 : Number(long);
      at = 10;
    }
    const kind = first & 15;
    const isControl = kind >= opcode.close;
    // Reserved bits and unmasked frames are errors; control frames are short and whole.
    if ((first & 0x70) !== 0 || (second & 128) === 0 || (isControl && (length > controlBytesMax || (first & 128) === 0)))
      return this.#close(closeCode.protocol);
    if (length + this.#messageBytes > this.#bytesMax) return this.#close(closeCode.tooBig);
    if (input.length < at + 4 + length) return false;
    const payload = unmasked(input.subarray(at + 4, at + 4 + length), input.subarray(at, at + 4));
    this.#input = input.subarray(at + 4 + length);
    switch (kind) {
      case opcode.ping:
        this.#frame(opcode.pong, payload);
        return true;
      case opcode.pong:
        return true;
      case opcode.close:
        this.#request.onAbort?.();
        return this.#close(closeCode.normal);
      case opcode.continuation:
      case opcode.text:
      case opcode.binary:
        if ((kind === opcode.continuation) !== this.#message.length > 0) return this.#close(closeCode.protocol);
        this.#message.push(payload);
        this.#messageBytes += payload.length;
        if ((first & 128) !== 0) this.#takeMessage();
        return true;
      default:
        return this.#close(closeCode.protocol);
    }
  }

  #takeMessage(): void {
    const body = Buffer.concat([...this.#message, Buffer.from('\n')]);
    this.#message = [];
    this.#messageBytes = 0;
    this.#request.onData?.(body);
    if (!this.#single) return;
    const end = this.#request.onEnd;
    this.#request.onEnd = undefined;
    this.#request.onData = undefined;
    end?.();
  }

  #frame(kind: number, payload: Uint8Array): boolean {
    if (!this.#open) return true;
    const n = payload.length;
    const head = Buffer.alloc(n < 126 ? 2 : n < 65536 ? 4 : 10);
    head[0] = 0x80 | kind;
    if (n < 126) head[1] = n;
    else if (n < 65536) {
      head[1] = 126;
      head.writeUInt16BE(n, 2);
    } else {
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(n), 2);
    }
    this.#socket.cork();
    this.#socket.write(head);
    const more = this.#socket.write(payload);
    this.#socket.uncork();
    return more;
  }

  #close(code: number): false {
    if (!this.#open) return false;
    const reason = Buffer.alloc(2);
    reason.writeUInt16BE(code);
    this.#frame(opcode.close, reason);
    this.#open = false;
    this.#input = emptyPayload;
    if (code !== closeCode.normal) this.#request.onAbort?.();
    this.#socket.end();
    return false;
  }
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  const out = Buffer.allocUnsafe(payload.length);
  for (let i = 0; i < payload.length; i++) out[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return out;
}

/** What the gateway sees of the upgraded request: a POST whose body are the messages. */
class SocketRequest implements HttpRequest {
  readonly method = 'POST';
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly host: string;
  readonly protocol = '1.1';
  readonly secure: boolean;
  readonly peer: HttpRequest['peer'];
  onData: ((chunk: Uint8Array) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;
  readonly #socket: Duplex;

  constructor(upgraded: HttpRequest, headers: ReadonlyMap<string, string>, socket: Duplex) {
    this.path = upgraded.path;
    this.headers = headers;
    this.host = upgraded.host;
    this.secure = upgraded.secure;
    this.peer = upgraded.peer;
    this.#socket = socket;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** Each line of the answer is a message; status and headers have no place here. */
class SocketResponse implements HttpResponse {
  onDrain: (() => void) | undefined = undefined;
  headSent = false;
  ended = false;
  readonly bufferedBytes = 0;
  readonly #send: (line: Uint8Array) => boolean;
  readonly #close: () => void;

  constructor(send: (line: Uint8Array) => boolean, close: () => void) {
    this.#send = send;
    this.#close = close;
  }

  head(_status: number, _headers: HttpHeaders): void {
    this.headSent = true;
  }

  write(chunk: Uint8Array | string): boolean {
    const text = typeof chunk === 'string' ? chunk : utf8Text(chunk);
    return this.#send(utf8(text.endsWith('\n') ? text.slice(0, -1) : text));
  }

  abort(): void {
    this.ended = true;
    this.#close();
  }

  end(chunk?: Uint8Array | string): void {
    if (this.ended) return;
    if (chunk !== undefined && chunk.length > 0) this.write(chunk);
    this.ended = true;
    this.#close();
  }
}
