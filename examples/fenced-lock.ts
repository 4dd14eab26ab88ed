/**
 * A lock that protects something outside the store. A process may be paused while it holds a lock, lose it, and wake up believing that it holds
 * it still; so each owner carries a number that only grows (the create revision of its key), and what is protected refuses lower ones.
 */
import { Mutex, Session, type Client } from 'tsetcd';

/** Runs `work` while holding the lock; `lost` fires when the lock may belong to somebody else. */
export async function withLock<T>(client: Client, name: string, work: (fence: number, lost: AbortSignal) => Promise<T>): Promise<T> {
  const session = await Session.create(client, { ttlSeconds: 10 });
  try {
    const mutex = new Mutex(session, name);
    await mutex.lock();
    return await work(mutex.revision, session.lost);
  } finally {
    // Gives up the lock too: its key hangs on the session's lease.
    await session.close();
  }
}

/** Whatever the lock protects: it remembers the highest number it has seen. */
export class FencedRegister {
  value = '';
  #fence = 0;

  /** @throws Error for an owner whose time is over */
  write(fence: number, value: string): void {
    if (fence < this.#fence) throw new Error(`fenced off: ${fence} comes after ${this.#fence}`);
    this.#fence = fence;
    this.value = value;
  }
}
