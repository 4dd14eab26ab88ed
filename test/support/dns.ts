/** A DNS server for tests: SRV records of a few names, over UDP on a free port of 127.0.0.1. Every other name does not exist. */
import { createSocket, type Socket } from 'node:dgram';

export interface Srv {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

const typeSrv = 33;

export class DnsServer {
  /** Lower-case names without a last dot. */
  readonly records = new Map<string, readonly Srv[]>();
  /** Names that were asked for. */
  readonly asked: string[] = [];
  readonly #socket: Socket = createSocket('udp4');

  static async start(): Promise<DnsServer> {
    const server = new DnsServer();
    server.#socket.on('message', (question, from) => server.#socket.send(server.#answer(question), from.port, from.address));
    await new Promise<void>((resolve) => server.#socket.bind(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }

  /** RFC 1035 §4: header of 12 bytes, the question as it came, and answers whose names point at it. */
  #answer(question: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    this.asked.push(name);
    const type = question.readUInt16BE(at + 1);
    const records = type === typeSrv ? this.records.get(name) : undefined;
    const header = Buffer.alloc(12);
    question.copy(header, 0, 0, 2);
    // An answer, recursion available; code 3: no such name.
    header.writeUInt16BE(0x8180 | (records === undefined ? 3 : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records?.length ?? 0, 6);
    return Buffer.concat([header, question.subarray(12, at + 5), ...(records ?? []).map(srvRecord)]);
  }
}

function srvRecord({ priority = 0, weight = 0, port, target }: Srv): Buffer {
  const name = Buffer.concat([...target.split('.').map((l) => Buffer.concat([Buffer.of(l.length), Buffer.from(l)])), Buffer.of(0)]);
  const head = Buffer.alloc(18);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(typeSrv, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(6 + name.length, 10);
  [priority, weight, port].forEach((v, i) => head.writeUInt16BE(v, 12 + 2 * i));
  return Buffer.concat([head, name]);
}
