// Downgrades of three members, as three of etcd 3.7.1 answered the same questions: outcomes, versions and lines. By hand beside those: the same script
// against both gave the same answers.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rpc } from '../../src/client/index.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { httpGet, until } from '../support/member.ts';

// A busy machine must not cost them their leader.
const args = ['--downgrade-check-time', '1s', '--heartbeat-interval', '250', '--election-timeout', '4000'];
let cluster: ProcessCluster;
beforeAll(async () => {
  cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'], args });
}, 120_000);
afterAll(() => cluster?.remove());

const [validate, enable, cancel] = [0, 1, 2];
const bad = 'etcdserver: invalid downgrade target version';
const format = 'etcdserver: wrong downgrade target version format';
const underWay = 'etcdserver: cluster has a downgrade job in progress';

/** The answer's version, or the error's text. */
async function ask(action: number, version = ''): Promise<string> {
  const leader = await cluster.leader();
  return cluster
    .client(leader)
    .call(rpc.Maintenance.downgrade, { action, version })
    .then(
      (r) => r.version,
      (e: unknown) => (e as Error).message,
    );
}

/** Until each member shows these versions of cluster and store. */
async function versions(wanted: string, target: string): Promise<void> {
  await until(
    `all members at ${wanted}`,
    async () => {
      for (const m of cluster.members) {
        const status = await cluster.client(m).status();
        const shown = JSON.parse((await httpGet(`${m.url}/version`, 10_000)).body) as Record<string, unknown>;
        if (status.version !== shown['etcdserver'] || status.storageVersion !== wanted || shown['storage'] !== wanted) return false;
        if (shown['etcdcluster'] !== wanted || (status.downgradeInfo?.targetVersion ?? '') !== target) return false;
        if ((status.downgradeInfo?.enabled ?? false) !== (target !== '')) return false;
      }
      return true;
    },
    60_000,
  );
}

it('enable, and cancel again', { timeout: 240_000 }, async () => {
  await versions('3.7.0', '');
  for (const [action, version, answer] of [
    [validate, '3.6', '3.7'],
    [validate, '3.6.0', '3.7'],
    [validate, '3.5', bad],
    [validate, '3.7', bad],
    [validate, '3.8', bad],
    [validate, 'x', format],
    [validate, '3', format],
    [cancel, '', '3.7'],
    [enable, '3.5', bad],
    [enable, '3.7', bad],
    [enable, 'bad', format],
  ] as const)
    expect(await ask(action, version), `${action} ${version}`).toBe(answer);
  await versions('3.7.0', '');

  expect(await ask(enable, '3.6')).toBe('3.7');
  await versions('3.6.0', '3.6.0');
  for (const [action, version, answer] of [
    [validate, '3.6', bad],
    [validate, '3.5', underWay],
    [enable, '3.6', bad],
    [enable, '3.5', underWay],
    [enable, '3.7', bad],
  ] as const)
    expect(await ask(action, version), `${action} ${version} while under way`).toBe(answer);
  await cluster.client(cluster.member(1)).put('a', 'b');

  expect(await ask(cancel)).toBe('3.6');
  await versions('3.7.0', '');
  expect(await ask(cancel)).toBe('3.7');

  const lines = cluster.members.flatMap((m) => m.log.split('\n').filter((l) => l.startsWith('{'))).map((l) => JSON.parse(l) as object);
  const has = (line: object): void => expect(lines).toContainEqual(expect.objectContaining(line));
  const forced = { 'prev-cluster-version': '3.7.0', 'new-cluster-version': '3.6.0' };
  has({ level: 'info', msg: 'Cluster version downgrade detected, forcing snapshot', ...forced });
  has({ level: 'info', msg: 'cluster version differs from storage version.', 'cluster-version': '3.7.0', 'storage-version': '3.5.0' });
  has({ level: 'info', msg: 'cluster version differs from storage version.', 'cluster-version': '3.6.0', 'storage-version': '3.7.0' });
  has({ level: 'info', msg: 'updating cluster version using v3 API', from: '3.7', to: '3.6' });
  has({ level: 'info', msg: 'cluster version is updated', 'cluster-version': '3.6' });
  has({ level: 'info', msg: 'updated cluster version', from: '3.7', to: '3.6' });
  has({ level: 'info', msg: 'updated storage version', 'new-storage-version': '3.6.0' });
  has({ level: 'info', msg: 'The server is ready to downgrade', 'target-version': '3.6.0' });
  has({ level: 'info', msg: 'enabled capabilities for version', 'cluster-version': '3.6' });
  has({ level: 'info', msg: 'updated cluster version', from: '3.6', to: '3.7' });
  has({ level: 'warn', msg: 'reject downgrade request', error: bad });
  has({ level: 'warn', msg: 'reject downgrade request', error: format });
  has({ level: 'warn', msg: 'reject downgrade request', error: underWay });
  has({ level: 'warn', msg: 'failed to cancel downgrade', error: 'etcdserver: no inflight downgrade job' });
});
