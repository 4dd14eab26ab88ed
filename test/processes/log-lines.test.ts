// Lines of a real etcd 3.7.1 that a member writes too, with their fields: start, compaction, defragmentation, snapshot, auth, elections, a stop.
import { afterEach, expect, it } from 'vitest';
import { connect, rpc } from '../../src/client/index.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { type MemberProcess, oneMember, program, run, until } from '../support/member.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const fn of undo.splice(0).reverse()) await fn();
});

/** Message, level, and its own fields in order; a message that names members begins with its pattern. */
type Wanted = readonly [string | RegExp, string, ...string[]];

const common = new Set(['level', 'ts', 'logger', 'caller', 'msg']);

function check(log: string, wanted: readonly Wanted[]): void {
  const lines = log
    .split('\n')
    .filter((l) => l.startsWith('{'))
    .map((l) => JSON.parse(l) as Record<string, unknown>);
  for (const [message, level, ...fields] of wanted) {
    const found = lines.filter((l) => (typeof message === 'string' ? l['msg'] === message : message.test(String(l['msg']))));
    expect(found.length, String(message)).toBeGreaterThan(0);
    expect(found[0]?.['level'], String(message)).toBe(level);
    expect(
      Object.keys(found[0] ?? {}).filter((k) => !common.has(k)),
      String(message),
    ).toEqual(fields);
  }
}

const size = ['current-db-size-bytes', 'current-db-size', 'current-db-size-in-use-bytes', 'current-db-size-in-use'];

it('of one member', { timeout: 120_000 }, async () => {
  const member = await oneMember();
  undo.push(() => member.remove());
  const client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000 });
  undo.push(() => client.close());
  for (let i = 0; i < 5; i++) await client.put('k', `v${i}`);
  await client.call(rpc.KV.compact, { revision: 4, physical: true });
  await client.call(rpc.Maintenance.defragment, {});
  const saved = await run(program, ['snapshot', 'save', `${member.options.dataDir}.snapshot`, '--endpoints', member.endpoint]);
  expect(saved.code, saved.stderr).toBe(0);
  await client.call(rpc.Auth.userAdd, { name: 'root', password: 'a-long-password' });
  await client.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
  await client.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
  await client.call(rpc.Auth.roleAdd, { name: 'r' });
  await client.call(rpc.Auth.roleGrantPermission, { name: 'r', perm: { permType: 2, key: utf8('secret'), rangeEnd: utf8('secreu') } });
  await client.call(rpc.Auth.roleRevokePermission, { role: 'r', key: utf8('secret'), rangeEnd: utf8('secreu') });
  await client.call(rpc.Auth.roleDelete, { role: 'r' });
  await client.call(rpc.Auth.userChangePassword, { name: 'root', password: 'another-password' });
  await client.call(rpc.Auth.userRevokeRole, { name: 'root', role: 'root' });
  await client.call(rpc.Auth.userDelete, { name: 'root' });
  await member.stop();
  check(member.log, [
    [/^[0-9a-f]+ switched to configuration voters=\(\)$/, 'info'],
    [/^[0-9a-f]+ became follower at term \d+$/, 'info'],
    [/^newRaft [0-9a-f]+ \[peers: \[\], term: \d+, commit: \d+, applied: \d+, lastindex: \d+, lastterm: \d+\]$/, 'info'],
    [/^[0-9a-f]+ received MsgVoteResp from [0-9a-f]+ at term 2$/, 'info'],
    [/^[0-9a-f]+ has received 1 MsgVoteResp votes and 0 vote rejections$/, 'info'],
    ['set initial cluster version', 'info', 'cluster-id', 'local-member-id', 'cluster-version'],
    ['enabled capabilities for version', 'info', 'cluster-version'],
    ['cluster version differs from storage version.', 'info', 'cluster-version', 'storage-version'],
    ['updated storage version', 'info', 'new-storage-version'],
    ['applied a configuration change through raft', 'info', 'local-member-id', 'raft-conf-change', 'raft-conf-change-node-id'],
    ['grpc service status changed', 'info', 'service', 'status'],
    ['finished scheduled compaction', 'info', 'compact-revision', 'took', 'number-of-keys-compacted', 'hash', ...size],
    ['storing new hash', 'info', 'hash', 'revision', 'compact-revision'],
    ['starting defragment', 'info'],
    ['defragmenting', 'info', 'path', ...size],
    [
      'finished defragmenting directory',
      'info',
      ...['path', 'current-db-size-bytes-diff', 'current-db-size-bytes', 'current-db-size', 'current-db-size-in-use-bytes-diff'],
      ...['current-db-size-in-use-bytes', 'current-db-size-in-use', 'took'],
    ],
    ['finished defragment', 'info'],
    ['sending database snapshot to client', 'info', 'total-bytes', 'size', 'storage-version'],
    ['sending database sha256 checksum to client', 'info', 'total-bytes', 'checksum-size'],
    ['successfully sent database snapshot to client', 'info', 'total-bytes', 'size', 'storage-version', 'took'],
    ['added a user', 'info', 'user-name'],
    ['granted a role to a user', 'info', 'user-name', 'user-roles', 'added-role-name'],
    ['ignored grant role request to a user', 'warn', 'user-name', 'user-roles', 'duplicate-role-name'],
    ['created a role', 'info', 'role-name'],
    // Here the lengths of the keys, never the keys.
    ['granted/updated a permission to a user', 'info', 'user-name', 'permission-name', 'key-size', 'range-end-size'],
    ['revoked a permission on range', 'info', 'role-name', 'key-size', 'range-end-size'],
    ['deleted a role', 'info', 'role-name'],
    ['changed a password of a user', 'info', 'user-name', 'user-roles'],
    ['revoked a role from a user', 'info', 'user-name', 'old-user-roles', 'new-user-roles', 'revoked-role-name'],
    ['deleted a user', 'info', 'user-name', 'user-roles'],
    ["server has stopped; stopping storage version's monitor", 'info'],
    ["server has stopped; stopping cluster version's monitor", 'info'],
    ['stopping serving peer traffic', 'info', 'address'],
    ['stopped serving peer traffic', 'info', 'address'],
  ]);
  expect(member.log).not.toContain('secre');
  const start = JSON.parse(member.log.split('\n').find((l) => l.includes('"starting an etcd server"')) ?? '{}') as Record<string, unknown>;
  expect(Object.keys(start).filter((k) => k.startsWith('discovery-'))).toEqual([
    ...['discovery-token', 'discovery-endpoints', 'discovery-dial-timeout', 'discovery-request-timeout', 'discovery-keepalive-time'],
    ...[
      'discovery-keepalive-timeout',
      'discovery-insecure-transport',
      'discovery-insecure-skip-tls-verify',
      'discovery-cert',
      'discovery-key',
    ],
    ...['discovery-cacert', 'discovery-user'],
  ]);
  // And again: what a restart finds.
  await member.start();
  await member.stop();
  check(member.log, [
    ['recovered v3 backend', 'info', 'backend-size-bytes', 'backend-size', 'backend-size-in-use-bytes', 'backend-size-in-use'],
    [
      'recovered/added member from store',
      'info',
      ...['cluster-id', 'local-member-id', 'recovered-remote-peer-id', 'recovered-remote-peer-urls', 'recovered-remote-peer-is-learner'],
    ],
    ['set cluster version from store', 'info', 'cluster-version'],
  ]);
});

it('of three members', { timeout: 180_000 }, async () => {
  const cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'] });
  undo.push(() => cluster.remove());
  const first = await cluster.leader();
  const second = cluster.members.find((m) => m !== first) as MemberProcess;
  await cluster.moveLeader(second);
  const third = cluster.members.find((m) => m !== first && m !== second) as MemberProcess;
  const id = (await cluster.id(third)).toString(16);
  await third.stop('SIGKILL');
  const all = (): string => cluster.members.map((m) => m.log).join('\n');
  await until('the leader to miss it', () => all().includes('"failed to get version"'), 60_000);
  await third.start();
  // Refused until the members have been connected for some seconds.
  await until(
    'the member to be removed',
    () =>
      cluster
        .client(second)
        .call(rpc.Cluster.memberRemove, { ID: BigInt(`0x${id}`) })
        .then(
          () => true,
          () => false,
        ),
    60_000,
  );
  await until('the removed member to have said so', () => third.log.includes('data-dir used by this member must be removed'), 60_000);
  await until('the others to have stopped talking to it', () => second.log.includes('"stopped remote peer"'), 60_000);
  check(all(), [
    [/^[0-9a-f]+ \[logterm: \d+, index: \d+\] sent MsgPreVote request to [0-9a-f]+ at term \d+$/, 'info'],
    [/^[0-9a-f]+ received MsgPreVoteResp from [0-9a-f]+ at term \d+$/, 'info'],
    [/^[0-9a-f]+ has received \d MsgPreVoteResp votes and \d vote rejections$/, 'info'],
    [/^[0-9a-f]+ \[logterm: \d+, index: \d+\] sent MsgVote request to [0-9a-f]+ at term \d+$/, 'info'],
    [/^[0-9a-f]+ has received \d MsgVoteResp votes and \d vote rejections$/, 'info'],
    [/^[0-9a-f]+ \[term \d+\] starts to transfer leadership to [0-9a-f]+$/, 'info'],
    [/^[0-9a-f]+ \[term: \d+\] received a MsgVote message with higher term from [0-9a-f]+ \[term: \d+\]$/, 'info'],
    [
      /^[0-9a-f]+ \[logterm: \d+, index: \d+, vote: [0-9a-f]+\] cast MsgVote for [0-9a-f]+ \[logterm: \d+, index: \d+\] at term \d+$/,
      'info',
    ],
    ['failed to reach the peer URL', 'warn', 'address', 'remote-member-id', 'error'],
    ['failed to get version', 'warn', 'remote-member-id', 'error'],
    ['starting initial election tick advance', 'info', 'election-ticks'],
    ['starting remote peer', 'info', 'remote-peer-id'],
    ['started HTTP pipelining with remote peer', 'info', 'local-member-id', 'remote-peer-id'],
    ['started stream reader with remote peer', 'info', 'stream-reader-type', 'local-member-id', 'remote-peer-id'],
    ['started remote peer', 'info', 'remote-peer-id'],
    ['leadership transfer finished', 'info', 'local-member-id', 'old-leader-member-id', 'new-leader-member-id', 'took'],
    [/^[0-9a-f]+ \[term \d+\] received MsgTimeoutNow from [0-9a-f]+ and starts an election to get leadership\.$/, 'info'],
    [
      'removed member',
      'info',
      ...['cluster-id', 'local-member-id', 'removed-remote-peer-id', 'removed-remote-peer-urls', 'removed-remote-peer-is-learner'],
    ],
    ['stopping remote peer', 'info', 'remote-peer-id'],
    ['stopped TCP streaming connection with remote peer', 'info', 'stream-writer-type', 'remote-peer-id'],
    ['stopped stream reader with remote peer', 'info', 'stream-reader-type', 'local-member-id', 'remote-peer-id'],
    ['stopped HTTP pipelining with remote peer', 'info', 'local-member-id', 'remote-peer-id'],
    ['stopped remote peer', 'info', 'remote-peer-id'],
  ]);
  check(third.log, [
    ['server error', 'warn', 'error'],
    ['data-dir used by this member must be removed', 'warn'],
  ]);
});
