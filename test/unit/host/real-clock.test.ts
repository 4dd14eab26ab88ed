// An interval keeps to its beat, whatever comes late.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RealClock } from '../../../src/host/real-clock.ts';

afterEach(() => vi.restoreAllMocks());

describe('an interval', () => {
  it('goes on at its beat after a late tick, and leaves out what was missed', () => {
    let now = 1000;
    const armed: { readonly fn: () => void; readonly ms: number }[] = [];
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((fn: () => void, ms: number) => {
      armed.push({ fn, ms });
      return { unref() {} };
    }) as unknown as typeof setTimeout);
    vi.spyOn(globalThis, 'clearTimeout').mockImplementation(() => {});
    let ticks = 0;
    new RealClock().every(100, () => ticks++);
    const fireAt = (t: number): number | undefined => {
      now = t;
      armed.at(-1)?.fn();
      return armed.at(-1)?.ms;
    };
    expect(armed[0]?.ms).toBe(100);
    expect(fireAt(1100)).toBe(100);
    // 30 ms late: the next one is not.
    expect(fireAt(1230)).toBe(70);
    // Early by less than a millisecond.
    expect(fireAt(1299.5)).toBe(100.5);
    // Three of them missed.
    expect(fireAt(1750)).toBe(50);
    expect(fireAt(1800)).toBe(100);
    expect(ticks).toBe(5);
  });

  it('stops when it is told to, also by itself', async () => {
    const clock = new RealClock();
    let ticks = 0;
    await new Promise<void>((resolve) => {
      const timer = clock.every(1, () => {
        if (++ticks < 3) return;
        timer.cancel();
        resolve();
      });
      // Timers of the clock keep no process alive.
      setTimeout(() => resolve(), 60_000).unref();
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ticks).toBe(3);
  });
});
