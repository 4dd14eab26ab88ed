// Failover of the client library over channels that fail as told: what is tried again, and what never is.
import { describe, expect, it } from 'vitest';
import { KV } from '../../../src/api/gen/methods.ts';
import { Code, errors, RpcError } from '../../../src/api/status.ts';
import { Connection } from '../../../src/client/connection.ts';
import { EtcdError } from '../../../src/client/errors.ts';
import { isWrite } from '../../../src/client/retry.ts';
import type { Channel } from '../../../src/wire/channel.ts';

const away = (unsent: boolean): RpcError => new RpcError({ code: Code.Unavailable, message: 'connection error' }, { unsent });

/** A connection whose endpoints answer by the script of their name. */
function connection(scripts: Record<string, (call: number) => unknown>): { made: Connection; calls: string[] } {
  const calls: string[] = [];
  const made = new Connection({
    endpoints: Object.keys(scripts),
    connect: (target) =>
      ({
        endpoint: target.text,
        ready: true,
        unary: (method: { path: string }) => {
          calls.push(`${target.text} ${method.path.split('/').at(-1)}`);
          const answer = scripts[target.text]?.(calls.length);
          return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
        },
        close: () => undefined,
      }) as unknown as Channel,
  });
  return { made, calls };
}

const ok = { header: undefined, kvs: [], more: false, count: 0 };
const failure = async (p: Promise<unknown>): Promise<EtcdError> => {
  try {
    await p;
  } catch (error) {
    expect(error).toBeInstanceOf(EtcdError);
    return error as EtcdError;
  }
  throw new Error('no failure');
};

describe('failover', () => {
  it('takes a read elsewhere when a member is away', async () => {
    const { made, calls } = connection({ a: () => away(false), b: () => ok });
    await made.call(KV.range, { key: Buffer.from('k') });
    expect(calls).toEqual(['a Range', 'b Range']);
  });

  it('never repeats a write that may have arrived', async () => {
    const { made, calls } = connection({ a: () => away(false), b: () => ok });
    expect((await failure(made.call(KV.put, { key: Buffer.from('k') }))).code).toBe(Code.Unavailable);
    expect(calls).toEqual(['a Put']);
  });

  it('repeats a write that surely never left', async () => {
    const { made, calls } = connection({ a: () => away(true), b: () => ok });
    await made.call(KV.put, { key: Buffer.from('k') });
    expect(calls).toEqual(['a Put', 'b Put']);
  });

  it('takes any call to another member when a learner refuses it', async () => {
    const refused = new RpcError(errors.notSupportedForLearner);
    const { made, calls } = connection({ a: () => refused, b: () => ok });
    await made.call(KV.put, { key: Buffer.from('k') });
    expect(calls).toEqual(['a Put', 'b Put']);
    const alone = connection({ a: () => refused });
    expect((await failure(alone.made.call(KV.put, { key: Buffer.from('k') }))).code).toBe(errors.notSupportedForLearner.code);
    expect(alone.calls.length).toBe(1);
  });

  it('repeats what was refused because users changed on its way', async () => {
    const { made, calls } = connection({ a: (n) => (n < 4 ? new RpcError(errors.authOldRevision) : ok) });
    await made.call(KV.put, { key: Buffer.from('k') });
    expect(calls.length).toBe(4);
    // Nobody has a password to mend this with.
    const nobody = connection({ a: () => new RpcError(errors.userEmpty) });
    expect((await failure(nobody.made.call(KV.put, { key: Buffer.from('k') }))).reason).toBe('userEmpty');
    expect(nobody.calls.length).toBe(1);
  });

  it('tells a deadline that passed with the reason why', async () => {
    const { made } = connection({ a: () => away(true) });
    const error = await failure(made.call(KV.range, { key: Buffer.from('k') }, { timeoutMs: 60 }));
    expect(error.message).toBe(errors.contextDeadlineExceeded.message);
    const chain = [error.cause, (error.cause as Error).cause].map((e) => (e as Error | undefined)?.message);
    expect(chain).toContain('connection error');
  });

  describe('among endpoints that are not connected yet', () => {
    /** `come`: after so many ms the connection is there; undefined: never, and that is told after the time to connect. */
    function dialled(come: Record<string, number | undefined>, connectTimeoutMs = 60): { made: Connection; calls: string[] } {
      const calls: string[] = [];
      const made = new Connection({
        endpoints: Object.keys(come),
        connectTimeoutMs,
        connect: (target) => {
          const channel = {
            endpoint: target.text,
            ready: false,
            connect: async () => {
              const ms = come[target.text];
              await new Promise((resolve) => setTimeout(resolve, ms ?? connectTimeoutMs));
              if (ms === undefined) throw away(true);
              channel.ready = true;
            },
            unary: () => {
              calls.push(target.text);
              return Promise.resolve(ok);
            },
            close: () => undefined,
          };
          return channel as unknown as Channel;
        },
      });
      return { made, calls };
    }

    it('waits for none that is away while another is there', async () => {
      const { made, calls } = dialled({ dead: undefined, slow: 20_000, alive: 5 }, 20_000);
      await made.call(KV.put, { key: Buffer.from('k') });
      await made.call(KV.range, { key: Buffer.from('k') });
      expect(calls).toEqual(['alive', 'alive']);
    });

    it('uses those that come later', async () => {
      const { made, calls } = dialled({ a: 1, b: 2 });
      await made.call(KV.range, { key: Buffer.from('k') });
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (let i = 0; i < 4; i++) await made.call(KV.range, { key: Buffer.from('k') });
      expect(new Set(calls)).toEqual(new Set(['a', 'b']));
    });

    it('tells a call whose time is over before anybody is there', async () => {
      const { made } = dialled({ a: undefined, b: undefined }, 20_000);
      const error = await failure(made.call(KV.put, { key: Buffer.from('k') }, { timeoutMs: 30 }));
      expect([error.code, error.unsent, error.endpoint]).toEqual([Code.DeadlineExceeded, true, 'a,b']);
    });

    it('goes on trying while all are away', async () => {
      const { made } = dialled({ a: undefined, b: undefined }, 10);
      const error = await failure(made.call(KV.put, { key: Buffer.from('k') }, { timeoutMs: 300 }));
      expect(error.message).toBe(errors.contextDeadlineExceeded.message);
      expect((error.cause as Error).cause).toMatchObject({ message: 'connection error' });
    });
  });

  it('knows what writes', () => {
    expect(isWrite(KV.put, {})).toBe(true);
    expect(isWrite(KV.range, {})).toBe(false);
    expect(isWrite(KV.txn, { success: [{ requestRange: {} }] })).toBe(false);
    expect(isWrite(KV.txn, { success: [{ requestTxn: { failure: [{ requestPut: {} }] } }] })).toBe(true);
  });
});
