/**
 * A network between the members of a cluster: each member advertises a port of this process, which passes bytes on to the member's own.
 * Links can be cut in either direction. What is cut is held, not lost, as TCP would send it again; a link that stays cut runs into the members'
 * own timeouts. Which member has dialled is read from the first request on each connection (`X-Server-From`).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Longest head of a request that is looked at. */
const headBytesMax = 16 * 1024;

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Name of the member that dialled; undefined until its first request has come, or for who does not say. */
  from: string | undefined;
  readonly to: string;
}

export class PeerNet {
  readonly #servers: Server[] = [];
  readonly #links = new Set<Link>();
  readonly #names = new Map<string, string>();
  /** `from>to` whose bytes do not arrive. */
  readonly #cut = new Set<string>();

  /** Opens the port that `name` advertises. */
  async add(name: string, peerPort: number): Promise<number> {
    const server = createServer((client) => this.#accept(client, name, peerPort));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  }

  /** Tells which member has this id. */
  know(name: string, id: bigint): void {
    this.#names.set(id.toString(16), name);
    for (const link of this.#links) this.#apply(link);
  }

  /** From now on nothing that `from` sends arrives at `to`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
    for (const link of this.#links) this.#apply(link);
  }

  heal(): void {
    this.#cut.clear();
    for (const link of this.#links) this.#apply(link);
  }

  async close(): Promise<void> {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    await Promise.all(this.#servers.map((s) => new Promise((resolve) => s.close(resolve))));
  }

  #accept(client: Socket, to: string, peerPort: number): void {
    const server = connect(peerPort, '127.0.0.1');
    const link: Link = { client, server, from: undefined, to };
    this.#links.add(link);
    const end = (): void => {
      this.#links.delete(link);
      client.destroy();
      server.destroy();
    };
    for (const s of [client, server]) {
      s.setNoDelay(true);
      s.on('error', end);
      s.on('close', end);
      s.on('end', end);
    }
    let head = '';
    let read = false;
    client.on('data', (bytes: Buffer) => {
      if (!read) {
        head += bytes.toString('latin1');
        const id = /^x-server-from:\s*([0-9a-f]+)\s*$/im.exec(head)?.[1];
        read = id !== undefined || head.length > headBytesMax;
        if (id !== undefined) {
          link.from = id;
          head = '';
          this.#apply(link);
        } else if (head.includes('\r\n\r\n')) head = '';
      }
      server.write(bytes);
    });
    server.on('data', (bytes: Buffer) => client.write(bytes));
    this.#apply(link);
  }

  #apply(link: Link): void {
    const from = link.from === undefined ? undefined : this.#names.get(link.from);
    hold(link.client, this.#isCut(from, link.to));
    hold(link.server, this.#isCut(link.to, from));
  }

  /** Who does not say who it is gets through as long as anybody does. */
  #isCut(from: string | undefined, to: string | undefined): boolean {
    if (from !== undefined && to !== undefined) return this.#cut.has(`${from}>${to}`);
    const known = [...this.#names.values()];
    return (
      known.length > 1 && known.every((n) => n === from || n === to || this.#cut.has(from === undefined ? `${n}>${to}` : `${from}>${n}`))
    );
  }
}

function hold(socket: Socket, held: boolean): void {
  if (held === socket.isPaused()) return;
  if (held) socket.pause();
  else socket.resume();
}
