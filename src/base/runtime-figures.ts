/** What the runtime tells of itself, for metrics. */
import type { Histogram } from './metrics.ts';

/** Of the JavaScript runtime. */
export interface RuntimeFigures {
  readonly version: string;
  readonly gc: Readonly<Record<'minor' | 'major' | 'incremental', Histogram>>;
  /** Seconds that the event loop was late, since the last reading. */
  loopDelay(): { readonly quantiles: readonly (readonly [number, number])[]; readonly sum: number; readonly count: number };
  /** Share of time in which the event loop was busy, since the last reading. */
  loopUtilization(): number;
  heap(): Readonly<Record<'used' | 'total' | 'limit' | 'external' | 'arrayBuffers', number>>;
}
