/**
 * Service registration and discovery: an instance is a key that lives as long as its process, and a directory of instances is a prefix with a
 * watch on it. An instance that dies without a word is gone after the lease's TTL.
 */
import { Session, type Client, utf8Text } from 'tsetcd';

export interface Instance {
  readonly id: string;
  readonly address: string;
}

const prefixOf = (service: string): string => `services/${service}/`;

/** Registers until `close`; again by itself when the lease was lost, as after a long partition. */
export async function register(client: Client, service: string, instance: Instance, ttlSeconds = 10): Promise<{ close(): Promise<void> }> {
  let session: Session;
  let closed = false;
  const enter = async (): Promise<void> => {
    session = await Session.create(client, { ttlSeconds });
    await client.put(prefixOf(service) + instance.id, instance.address, { lease: session.lease });
    session.lost.addEventListener('abort', () => {
      if (!closed) void enter().catch(() => setTimeout(() => void enter(), 1000));
    });
  };
  await enter();
  return {
    async close() {
      closed = true;
      await session.close();
    },
  };
}

/** The instances of a service, kept up to date. */
export class Directory {
  readonly instances = new Map<string, string>();
  /** Called after each change. */
  onChange: (() => void) | undefined;
  readonly #watcher: ReturnType<Client['watch']>;

  private constructor(client: Client, service: string, revision: number) {
    const prefix = prefixOf(service);
    // From the revision behind the listing: no change falls between the two.
    this.#watcher = client.watch(prefix, { prefix: true, startRevision: revision + 1 });
    this.#watcher.onBatch = ({ events }) => {
      for (const { type, kv } of events) {
        if (kv === undefined) continue;
        const id = utf8Text(kv.key).slice(prefix.length);
        if (type === 1) this.instances.delete(id);
        else this.instances.set(id, utf8Text(kv.value));
      }
      if (events.length > 0) this.onChange?.();
    };
  }

  static async open(client: Client, service: string): Promise<Directory> {
    const prefix = prefixOf(service);
    const found = await client.get(prefix, { prefix: true });
    const directory = new Directory(client, service, found.header?.revision ?? 0);
    for (const kv of found.kvs) directory.instances.set(utf8Text(kv.key).slice(prefix.length), utf8Text(kv.value));
    return directory;
  }

  close(): void {
    this.#watcher.cancel();
  }
}
