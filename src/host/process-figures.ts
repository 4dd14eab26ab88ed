/** The process as its metrics show it. Read when metrics are read, never otherwise. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Bytes a page, fixed on the Linux systems we run on. */
const pageBytes = 4096;

function statusField(field: number): number {
  try {
    return Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[field]) * pageBytes;
  } catch {
    return process.memoryUsage().rss;
  }
}

export const processFigures = {
  cpuSeconds(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  residentBytes: (): number => statusField(1),
  virtualBytes: (): number => statusField(0),
  openFds(): number {
    try {
      return readdirSync('/proc/self/fd').length;
    } catch {
      return 0;
    }
  },
  virtualBytesMax(): number {
    try {
      const limit = /Max address space\s+(\S+)/.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
      // As Prometheus' own client shows "unlimited".
      return limit === undefined || limit === 'unlimited' ? 2 ** 64 : Number(limit);
    } catch {
      return 0;
    }
  },
  maxFds(): number {
    try {
      return Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  },
  networkBytes(): { received: number; sent: number } {
    const total = { received: 0, sent: 0 };
    try {
      for (const line of readFileSync('/proc/self/net/dev', 'latin1').split('\n').slice(2)) {
        const columns = line.trim().split(/[\s:]+/);
        if (columns[0] === '' || columns[0] === 'lo') continue;
        total.received += Number(columns[1] ?? 0);
        total.sent += Number(columns[9] ?? 0);
      }
    } catch {
      // No such file system here: nothing is known.
    }
    return total;
  },
  threads(): number {
    try {
      return readdirSync('/proc/self/task').length;
    } catch {
      return 1;
    }
  },
  resources: (): number => process.getActiveResourcesInfo().length,
  cpus: (): number => availableParallelism(),
  startSeconds: (): number => Math.round((performance.timeOrigin / 1000) * 100) / 100,
};
