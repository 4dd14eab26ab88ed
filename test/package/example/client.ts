import { Code, compare, connect, EtcdError, Mutex, op, prefixEnd, Session, type Client, type KeyValue, type WatchBatch } from 'tsetcd';

/** Everything that a program usually wants of the client, for the compiler's eyes. */
export async function tour(endpoint: string): Promise<string[]> {
  const client: Client = connect({ endpoints: [endpoint], requestTimeoutMs: 5000 });
  const seen: string[] = [];
  const watcher = client.watch('greeting', { prefix: true, prevKv: true });
  watcher.onBatch = (batch: WatchBatch) => {
    for (const event of batch.events) seen.push(Buffer.from(event.kv?.value ?? []).toString());
  };
  await client.put('greeting', 'hello');
  const pair: KeyValue | undefined = await client.getOne('greeting');
  const swapped = await client
    .txn()
    .if(compare.modRevision('greeting', '=', pair?.modRevision ?? 0))
    .then(op.put('greeting', 'hello again'))
    .else(op.get('greeting'))
    .commit();
  if (!swapped.succeeded) throw new Error('nobody else writes here');
  const { kvs } = await client.get('greeting', { end: prefixEnd(Buffer.from('greeting')) });
  if (kvs.length !== 1) throw new Error('one pair');

  const session = await Session.create(client, { ttlSeconds: 10 });
  const mutex = new Mutex(session, 'locks/one');
  await mutex.lock();
  await mutex.unlock();
  await session.close();

  try {
    await client.put('', 'refused');
  } catch (error) {
    if (!(error instanceof EtcdError) || error.code !== Code.InvalidArgument) throw error;
  }
  while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  watcher.cancel();
  client.close();
  return seen;
}
