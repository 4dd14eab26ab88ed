/** One of several processes leads; the others wait, and anybody can see who it is. */
import { Election, Session, type Client, utf8Text } from 'tsetcd';

/** Takes part until `signal` fires; calls `lead` while it leads. `lead` must end when `lost` fires. */
export async function takePart(
  client: Client,
  election: string,
  name: string,
  lead: (lost: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const session = await Session.create(client, { ttlSeconds: 5 });
    const ballot = new Election(session, election);
    try {
      await ballot.campaign(name, { signal });
      await lead(AbortSignal.any([session.lost, signal]));
      await ballot.resign();
    } catch (error) {
      if (!signal.aborted && !session.lost.aborted) throw error;
    } finally {
      await session.close().catch(() => undefined);
    }
  }
}

/** Each leader, in order, until `signal` fires. */
export async function* leaders(client: Client, election: string, signal: AbortSignal): AsyncGenerator<string, void, void> {
  const session = await Session.create(client, { ttlSeconds: 5 });
  try {
    for await (const kv of new Election(session, election).observe({ signal })) yield utf8Text(kv.value);
  } finally {
    await session.close().catch(() => undefined);
  }
}
