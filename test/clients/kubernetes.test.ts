// The load of a Kubernetes control plane through clientv3, in small; `npm run bench -- kubernetes` runs it in full beside a real etcd.
import { expect, it } from 'vitest';
import { oneMember, reference, run } from '../support/member.ts';

const kubeload = reference('kubeload');

it.skipIf(kubeload === undefined)(
  'pods, leases, lists by RangeStream, watches with bookmarks and compaction: every watcher ends with the state of the store',
  async () => {
    const member = await oneMember({ args: ['--watch-progress-notify-interval', '1s'] });
    try {
      const size = ['-pods', '500', '-watchers', '10', '-nodes', '20', '-compact', '500', '-timeout', '240s'];
      const r = await run(kubeload ?? '', ['-endpoints', member.endpoint, ...size], { timeoutMs: 280_000 });
      expect(r.code, r.stderr).toBe(0);
      const seen = JSON.parse(r.stdout) as Record<string, number>;
      expect(seen['lists']).toBeGreaterThanOrEqual(10);
      expect(seen['conflicts']).toBeGreaterThanOrEqual(150);
      expect(seen['compactions']).toBeGreaterThan(0);
      expect(seen['events']).toBeGreaterThan(10_000);
    } finally {
      await member.remove();
    }
  },
  300_000,
);
