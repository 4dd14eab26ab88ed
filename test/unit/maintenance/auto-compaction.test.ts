// When compactions come by themselves, and to which revision.
import { describe, expect, it } from 'vitest';
import type { Clock, Timer } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { Completion } from '../../../src/server/apply/types.ts';
import type { MemberFacade } from '../../../src/server/consensus/facade.ts';
import { startAutoCompaction } from '../../../src/server/maintenance/auto-compaction.ts';

class StepClock implements Clock {
  now = 0;
  #timers: { every: number; next: number; fn: () => void }[] = [];
  mono(): number {
    return this.now;
  }
  wall(): number {
    return this.now;
  }
  after(): Timer {
    throw new Error('unused');
  }
  defer(): void {
    throw new Error('unused');
  }
  every(ms: number, fn: () => void): Timer {
    const t = { every: ms, next: this.now + ms, fn };
    this.#timers.push(t);
    return { cancel: () => (this.#timers = this.#timers.filter((x) => x !== t)) };
  }
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = this.#timers.filter((t) => t.next <= end).sort((a, b) => a.next - b.next)[0];
      if (due === undefined) break;
      this.now = due.next;
      due.next += due.every;
      due.fn();
    }
    this.now = end;
  }
}

function run(
  mode: 'periodic' | 'revision',
  retention: number,
): {
  clock: StepClock;
  member: { isLeader: boolean; kv: { currentRev: number } };
  compacted: number[];
  stop(): void;
  fail: { on: boolean };
} {
  const clock = new StepClock();
  const compacted: number[] = [];
  const fail = { on: false };
  const member = {
    clock,
    isLeader: true,
    kv: { currentRev: 1 },
    config: { autoCompactionMode: mode, autoCompactionRetentionValue: retention },
    propose(r: { compaction: { revision: number } }, _auth: undefined, completion: Completion) {
      if (!fail.on) compacted.push(r.compaction.revision);
      completion.complete(fail.on ? { code: 14, message: 'no' } : undefined, undefined);
    },
  };
  const job = startAutoCompaction(member as unknown as MemberFacade, silentLog);
  return { clock, member, compacted, stop: () => job.stop(), fail };
}

const minute = 60_000;

describe('periodic', () => {
  it('compacts to what was current a period ago, first after the period, then once each', () => {
    const t = run('periodic', 10 * minute);
    for (let m = 1; m <= 30; m++) {
      t.member.kv.currentRev = 1 + m * 10;
      t.clock.advance(minute);
    }
    expect(t.compacted).toEqual([1, 101, 201]);
  });

  it('tries again at the next sample after a failure, and rests on followers', () => {
    const t = run('periodic', 10 * minute);
    t.member.isLeader = false;
    t.clock.advance(30 * minute);
    expect(t.compacted).toEqual([]);
    t.member.isLeader = true;
    t.fail.on = true;
    t.clock.advance(minute);
    t.fail.on = false;
    t.clock.advance(minute);
    expect(t.compacted).toEqual([1]);
    t.stop();
    t.clock.advance(60 * minute);
    expect(t.compacted).toEqual([1]);
  });
});

describe('revision', () => {
  it('keeps the newest, every five minutes', () => {
    const t = run('revision', 100);
    t.member.kv.currentRev = 50;
    t.clock.advance(5 * minute);
    t.member.kv.currentRev = 350;
    t.clock.advance(5 * minute);
    t.clock.advance(5 * minute);
    expect(t.compacted).toEqual([250]);
  });
});
