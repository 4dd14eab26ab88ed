/** `trace` lines: what a request that took long did, and for how long each step. In the form that etcd's have. */
import { formatDuration } from './duration.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** Requests that take longer show their steps. */
export const traceThresholdMs = 100;

/** What ended at a moment of the monotonic clock, ms. */
export interface Step {
  readonly name: string;
  readonly endMs: number;
}

export interface StepTrace {
  readonly operation: string;
  readonly detail: readonly (readonly [string, unknown])[];
  readonly startMs: number;
  readonly endMs: number;
  /** In their order. */
  readonly steps: readonly Step[];
  /** Shows also the steps that took none of the time. */
  readonly everyStep?: boolean;
}

/** Told apart within a process by this. */
let traces = 0;

/** Writes the line of something that took longer than `traceThresholdMs`; nothing for others. */
export function logTrace(log: Log, clock: Pick<Clock, 'mono' | 'wall'>, trace: StepTrace): void {
  const { operation, detail, startMs, endMs, steps } = trace;
  const duration = endMs - startMs;
  if (duration <= traceThresholdMs) return;
  const shownMs = trace.everyStep === true ? 0 : traceThresholdMs / (steps.length + 1);
  const shown: string[] = [];
  let last = startMs;
  for (const { name, endMs: at } of steps) {
    const ms = at - last;
    if (ms > shownMs) shown.push(`'${name}'  (duration: ${formatDuration(ms)})`);
    last = at;
  }
  const wall = (ms: number): string => wallTime(clock.wall() - (clock.mono() - ms));
  traces = (traces + 1) & 0x7fffffff;
  log.info('trace', {
    trace_id: traces,
    operation,
    detail: detail.length === 0 ? '' : `{${detail.map(([key, value]) => `${key}:${String(value)}; `).join('')}}`,
    duration: formatDuration(duration),
    start: wall(startMs),
    end: wall(endMs),
    steps: shown,
    step_count: shown.length,
  });
}

/** As the log writes moments, in UTC: microseconds. */
export function wallTime(wallMs: number): string {
  const whole = Math.floor(wallMs);
  const micros = Math.floor((wallMs - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, 23)}${String(micros).padStart(3, '0')}Z`;
}
