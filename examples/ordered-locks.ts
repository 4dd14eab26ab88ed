/**
 * Several locks at once. Everybody takes them in the same order, so that nobody waits for somebody who waits for it; all of them hang on one
 * session, so that losing one means losing all. What is written is guarded by every lock in one transaction.
 */
import { Mutex, op, Session, type Client } from 'tsetcd';

export async function transfer(client: Client, from: string, to: string, amount: number): Promise<boolean> {
  const session = await Session.create(client, { ttlSeconds: 10 });
  try {
    const locks = [...new Set([from, to])].sort().map((account) => new Mutex(session, `locks/${account}`));
    for (const lock of locks) await lock.lock();
    const balance = async (account: string): Promise<number> => Number((await client.getText(`accounts/${account}`)) ?? '0');
    const [have, had] = [await balance(from), await balance(to)];
    if (have < amount || from === to) return false;
    const { succeeded } = await client
      .txn()
      .if(...locks.map((lock) => lock.isOwner()))
      .then(op.put(`accounts/${from}`, String(have - amount)), op.put(`accounts/${to}`, String(had + amount)))
      .commit();
    return succeeded;
  } finally {
    await session.close();
  }
}
