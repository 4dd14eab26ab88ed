/** Node's own figures: how late the event loop runs, what the garbage collector takes, how large the heap is. */
import { constants, monitorEventLoopDelay, performance, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { Histogram } from '../base/metrics.ts';
import type { RuntimeFigures } from '../base/runtime-figures.ts';

/** Time between two looks at the event loop, ms: 50 wake-ups a second cost nothing and a stall of 20 ms shows. */
const resolutionMs = 20;
const gcBuckets = [0.001, 0.01, 0.1, 1, 2, 5];

/** Begins to measure; once a process. */
export function startRuntimeFigures(): RuntimeFigures {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const gc = { minor: new Histogram(gcBuckets), major: new Histogram(gcBuckets), incremental: new Histogram(gcBuckets) };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = (entry as unknown as { detail?: { kind?: number } }).detail?.kind;
      const into =
        kind === constants.NODE_PERFORMANCE_GC_MINOR ? gc.minor : kind === constants.NODE_PERFORMANCE_GC_MAJOR ? gc.major : gc.incremental;
      into.observe(entry.duration / 1000);
    }
  }).observe({ entryTypes: ['gc'] });
  let before = performance.eventLoopUtilization();
  return {
    version: process.version,
    gc,
    /** Since the last reading. The pause that the measuring itself makes is taken off. */
    loopDelay() {
      const seconds = (ns: number): number => Math.max(0, ns / 1e9 - resolutionMs / 1000);
      const count = delay.count;
      const figures = {
        count,
        sum: count === 0 ? 0 : seconds(delay.mean) * count,
        quantiles: [0.5, 0.9, 0.99, 1].map((q) => [q, count === 0 ? 0 : seconds(delay.percentile(q * 100))] as const),
      };
      delay.reset();
      return figures;
    },
    loopUtilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    heap() {
      const s = getHeapStatistics();
      const { external, arrayBuffers } = process.memoryUsage();
      return { used: s.used_heap_size, total: s.total_heap_size, limit: s.heap_size_limit, external, arrayBuffers };
    },
  };
}
