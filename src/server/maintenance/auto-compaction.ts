/**
 * Compaction by itself, on the leader.
 *
 * `periodic`, keeping P: revisions are noted every tenth of min(P, 1 h); the first compaction comes after P, then one every min(P, 1 h), each
 * to the revision noted P ago. `revision`, keeping N: every 5 minutes to the current revision − N.
 */
import { formatDuration } from '../../base/duration.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { errors } from '../../api/status.ts';
import type { Log } from '../../base/log.ts';
import { onComplete } from '../consensus/proposals.ts';
import type { MemberFacade } from '../consensus/facade.ts';

const hourMs = 3_600_000;
/** Samples in one compaction interval: a failed compaction is tried again at the next. */
const samplesPerInterval = 10;
const revisionIntervalMs = 5 * 60_000;

export interface AutoCompaction {
  stop(): void;
}

export function startAutoCompaction(member: MemberFacade, log: Log): AutoCompaction {
  const { autoCompactionMode: mode, autoCompactionRetentionValue: retention } = member.config;
  if (mode === '' || retention <= 0) return { stop() {} };
  const timer = mode === 'periodic' ? startPeriodic(member, log, retention) : startRevision(member, log, retention);
  return { stop: () => timer.cancel() };
}

function startPeriodic(member: MemberFacade, log: Log, periodMs: number): Timer {
  const { clock } = member;
  const intervalMs = Math.min(periodMs, hourMs);
  const sampleMs = intervalMs / samplesPerInterval;
  const samplesMax = Math.floor(periodMs / sampleMs);
  const samples: number[] = [];
  let lastSuccess = clock.mono();
  let waitMs = periodMs;
  let lastRev = 0;
  const note = (): void => {
    samples.push(member.kv.currentRev);
    if (samples.length > samplesMax) samples.shift();
  };
  note();
  return clock.every(sampleMs, () => {
    if (!member.isLeader) {
      note();
      return;
    }
    const rev = samples[0] ?? 0;
    if (clock.mono() - lastSuccess >= waitMs && rev !== lastRev) {
      waitMs = intervalMs;
      log.info('starting auto periodic compaction', { revision: rev, 'compact-period': formatDuration(periodMs) });
      compact(member, clock, rev, (failure, tookMs) => {
        if (failure === undefined) {
          log.info('completed auto periodic compaction', {
            revision: rev,
            'compact-period': formatDuration(periodMs),
            took: formatDuration(tookMs),
          });
          lastRev = rev;
          lastSuccess = clock.mono();
        } else {
          log.warn('failed auto periodic compaction', {
            revision: rev,
            'compact-period': formatDuration(periodMs),
            'retry-interval': formatDuration(sampleMs),
            error: failure,
          });
        }
      });
    }
    note();
  });
}

function startRevision(member: MemberFacade, log: Log, retention: number): Timer {
  const { clock } = member;
  let lastRev = 0;
  return clock.every(revisionIntervalMs, () => {
    if (!member.isLeader) return;
    const rev = member.kv.currentRev - retention;
    if (rev <= 0 || rev === lastRev) return;
    log.info('starting auto revision compaction', { revision: rev, 'revision-compaction-retention': retention });
    compact(member, clock, rev, (failure, tookMs) => {
      if (failure === undefined) {
        log.info('completed auto revision compaction', {
          revision: rev,
          'revision-compaction-retention': retention,
          took: formatDuration(tookMs),
        });
        lastRev = rev;
      } else {
        log.warn('failed auto revision compaction', { revision: rev, 'revision-compaction-retention': retention, error: failure });
      }
    });
  });
}

function compact(member: MemberFacade, clock: Clock, revision: number, done: (failure: string | undefined, tookMs: number) => void): void {
  const start = clock.mono();
  member.propose(
    { compaction: { revision } },
    undefined,
    onComplete((error, result) => {
      const failed = error ?? result?.error;
      done(failed === undefined || failed === errors.compacted ? undefined : failed.message, clock.mono() - start);
    }),
  );
}
