/**
 * Configuration that follows the store: read once, then every change, in order. A program that was away so long that the changes in between
 * were compacted reads everything anew.
 */
import { WatchCanceledError, type Client, utf8Text } from 'tsetcd';

/**
 * Calls `apply` with the whole configuration at first and after each change; changes made in one transaction come together.
 * Ends when `signal` fires.
 */
export async function followConfig(
  client: Client,
  prefix: string,
  apply: (config: ReadonlyMap<string, string>, revision: number) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const config = new Map<string, string>();
    const found = await client.get(prefix, { prefix: true, signal });
    for (const kv of found.kvs) config.set(utf8Text(kv.key).slice(prefix.length), utf8Text(kv.value));
    let revision = found.header?.revision ?? 0;
    apply(config, revision);
    const watcher = client.watch(prefix, { prefix: true, startRevision: revision + 1 });
    const stop = (): void => watcher.cancel();
    signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const batch of watcher) {
        if (batch.events.length === 0) continue;
        for (const { type, kv } of batch.events) {
          if (kv === undefined) continue;
          const name = utf8Text(kv.key).slice(prefix.length);
          if (type === 1) config.delete(name);
          else config.set(name, utf8Text(kv.value));
          revision = kv.modRevision;
        }
        apply(config, revision);
      }
    } catch (error) {
      if (!(error instanceof WatchCanceledError) || error.compactRevision === 0) throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
