/** What a member does through raft on its own account: publish itself, set the cluster's version, end leases, tell of what is left of them. */
import { errors } from '../../api/status.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { failpoint } from '../../base/failpoint.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { RaftMachine } from '../../raft/machine.ts';
import type { MemberId } from '../../raft/types.ts';
import type { AuthInfo } from '../apply/types.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { Cluster } from '../membership/cluster.ts';
import type { Backend } from '../storage/backend.ts';
import type { Leadership } from './leadership.ts';
import type { PeerTransport } from './peer-transport.ts';
import { onComplete, type Proposals } from './proposals.ts';
import type { ReadIndex } from './read-index.ts';

/** Time between looks for leases that have ended, and the most that one look takes: 1000 a second. */
const leaseScanMs = 500;
const leasesPerScan = 500;
/** Revokes under way at once. */
const revokesInFlightMax = 16;
/** Most leases told of in one entry. */
const checkpointsPerEntry = 1000;
/** Time between looks at the members' versions. */
const versionMonitorMs = 4000;
/** Rest after a publication that failed at once; one that waits comes back after the request timeout. */
const publishRetryMs = 100;

export interface DutiesOptions {
  readonly config: ServerConfig;
  readonly memberId: MemberId;
  readonly serverVersion: string;
  readonly raft: RaftMachine;
  readonly cluster: Cluster;
  readonly lessor: Lessor;
  readonly proposals: Proposals;
  readonly reads: ReadIndex;
  readonly leadership: Leadership;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeoutMs: number;
  readonly backend: () => Backend;
  /** Writes a raft snapshot as soon as that can be. */
  readonly snapshotNow: () => void;
  /** Who the member itself acts as: with auth on, an expired lease is revoked in root's name. */
  readonly rootInfo: () => AuthInfo | undefined;
}

export class Duties {
  readonly #o: DutiesOptions;
  readonly #timers: Timer[] = [];
  #revoking: bigint[] = [];
  #revokesInFlight = 0;
  #scanBusy = false;
  #stopped = false;
  #settingVersion = false;
  expiredLeases = 0;

  constructor(options: DutiesOptions) {
    this.#o = options;
  }

  start(): void {
    const { clock, config } = this.#o;
    this.#timers.push(clock.every(leaseScanMs, () => this.#expireLeases()));
    if (config.leaseCheckpoint) this.#timers.push(clock.every(leaseScanMs, () => this.#checkpointLeases()));
    this.#timers.push(clock.every(versionMonitorMs, () => this.monitorVersion()));
  }

  stop(): void {
    this.#stopped = true;
    for (const t of this.#timers) t.cancel();
    this.#o.log.info("server has stopped; stopping storage version's monitor");
    this.#o.log.info("server has stopped; stopping cluster version's monitor");
  }

  /** Tells the cluster this member's name and client URLs; tried until it works, then `done`. */
  publish(done: () => void): void {
    const { config, memberId, proposals, clock, log, timeoutMs, cluster } = this.#o;
    failpoint('beforePublishing');
    proposals.propose(
      {
        clusterMemberAttrSet: { memberID: memberId, memberAttributes: { name: config.name, clientUrls: [...config.advertiseClientUrls] } },
      },
      undefined,
      onComplete((error, result) => {
        if (this.#stopped) return;
        const failed = error ?? result?.error;
        const attributes = `{Name:${config.name} ClientURLs:[${config.advertiseClientUrls.join(' ')}]}`;
        if (failed === undefined) {
          log.info('published local member to cluster through raft', {
            'local-member-id': memberId,
            'local-member-attributes': attributes,
            'cluster-id': cluster.clusterId,
            'publish-timeout': formatDuration(timeoutMs),
          });
          done();
          return;
        }
        if (failed === errors.stopped) return;
        log.warn('failed to publish local member to cluster through raft', {
          'local-member-id': memberId,
          'local-member-attributes': attributes,
          'publish-timeout': formatDuration(timeoutMs),
          error: failed.message,
        });
        clock.after(publishRetryMs, () => this.publish(done));
      }),
    );
  }

  /** On the leader: the cluster's version is the lowest of its members', or what a downgrade aims at; the store's follows it. */
  monitorVersion(): void {
    const { leadership, transport, cluster, log, proposals, serverVersion, memberId } = this.#o;
    this.updateStorageVersion();
    if (!leadership.isLeader || this.#settingVersion || this.#stopped) return;
    const own = majorMinor(serverVersion);
    transport.versions((versions) => {
      if (!leadership.isLeader || this.#stopped) return;
      let lowest: string | undefined = own;
      for (const m of cluster.members()) {
        if (m.id === memberId) continue;
        const server = versions.get(m.id)?.server;
        if (server === undefined) {
          lowest = undefined;
          break;
        }
        if (lowest !== undefined && compareVersions(majorMinor(server), lowest) < 0) lowest = majorMinor(server);
      }
      const current = cluster.version;
      // With members unheard of a new cluster starts low; it is raised when they are known.
      const wanted = current === undefined ? (lowest ?? '3.0.0') : lowest === undefined ? undefined : this.#nextVersion(current, lowest);
      if (wanted === undefined) return;
      if (current === undefined) log.info('setting up initial cluster version using v3 API', { 'cluster-version': shown(wanted) });
      else log.info('updating cluster version using v3 API', { from: shown(current), to: shown(wanted) });
      this.#settingVersion = true;
      proposals.propose(
        { clusterVersionSet: { ver: wanted } },
        undefined,
        onComplete((error, result) => {
          this.#settingVersion = false;
          const failed = error ?? result?.error;
          if (this.#stopped) return;
          if (failed !== undefined) log.warn('failed to update cluster version', { error: failed.message });
          else log.info('cluster version is updated', { 'cluster-version': shown(wanted) });
          this.updateStorageVersion();
        }),
      );
    });
  }

  /** Undefined: it stays. */
  #nextVersion(current: string, lowest: string): string | undefined {
    const { downgrade } = this.#o.cluster;
    if (!downgrade.enabled) return compareVersions(lowest, current) > 0 ? lowest : undefined;
    const target = majorMinor(downgrade.targetVersion);
    if (compareVersions(target, current) === 0) return undefined;
    if (isNextBelow(target, current) && isNextBelow(target, lowest)) return target;
    this.#o.log.error('Cannot downgrade from cluster-version to downgrade-target', {
      'downgrade-target': downgrade.targetVersion,
      'cluster-version': current,
      'minimal-server-version': lowest,
    });
    return undefined;
  }

  /** The schema version in the backend is this member's own affair: hashes leave it out. */
  updateStorageVersion(): void {
    const { cluster, log } = this.#o;
    const backend = this.#o.backend();
    const wanted = cluster.version;
    if (wanted === undefined || compareVersions(wanted, '3.6.0') < 0 || this.#stopped) return;
    const key = utf8('storageVersion');
    const there = backend.get('meta', key);
    if (there !== undefined && utf8Text(there) === wanted) return;
    log.info('cluster version differs from storage version.', {
      'cluster-version': wanted,
      // Without a mark the schema is that of 3.5.
      'storage-version': there === undefined ? '3.5.0' : utf8Text(there),
    });
    backend.put('meta', key, utf8(wanted));
    log.info('updated storage version', { 'new-storage-version': wanted });
    if (cluster.downgrade.enabled) {
      log.info('The server is ready to downgrade', {
        'target-version': cluster.downgrade.targetVersion,
        'server-version': this.#o.serverVersion,
      });
      // An older etcd must not meet the higher version again when it replays the log.
      this.#o.snapshotNow();
    }
  }

  /** Ended leases are revoked through raft, by a leader that has just made sure it is one (G-L-5). */
  #expireLeases(): void {
    const { leadership, lessor, reads, raft } = this.#o;
    if (!leadership.isLeader || this.#scanBusy || this.#stopped) return;
    const { term } = raft;
    const due = lessor.due(leasesPerScan);
    if (due.length === 0) return;
    this.#scanBusy = true;
    reads.read((error) => {
      this.#scanBusy = false;
      if (error !== undefined || !leadership.isLeader || raft.term !== term || this.#stopped) return;
      this.#revoking.push(...due);
      this.#revokeSome(term);
    });
  }

  #revokeSome(term: number): void {
    const { proposals, raft, leadership, lessor, log } = this.#o;
    while (this.#revoking.length > 0 && this.#revokesInFlight < revokesInFlightMax) {
      const id = this.#revoking.shift() as bigint;
      if (raft.term !== term || !leadership.isLeader || this.#stopped) {
        this.#revoking = [];
        return;
      }
      // Renewed or revoked since it was found.
      if (!lessor.has(id) || !lessor.isEnded(id)) continue;
      this.#revokesInFlight++;
      proposals.propose(
        { leaseRevoke: { ID: id } },
        this.#o.rootInfo(),
        onComplete((error, result) => {
          this.#revokesInFlight--;
          const failed = error ?? result?.error;
          if (failed === undefined) this.expiredLeases++;
          else if (failed !== errors.leaseNotFound && failed !== errors.stopped && failed !== errors.notLeader) {
            log.warn('failed to revoke lease', {
              'lease-id': BigInt.asUintN(64, id).toString(16).padStart(16, '0'),
              error: failed.message,
            });
          }
          this.#revokeSome(term);
        }),
        term,
      );
    }
  }

  #checkpointLeases(): void {
    const { leadership, lessor, proposals, raft } = this.#o;
    if (!leadership.isLeader || this.#stopped) return;
    const due = lessor.checkpointsDue(checkpointsPerEntry);
    if (due.length === 0) return;
    const checkpoints = due.map((c) => ({ ID: c.id, remainingTTL: c.remainingTtl }));
    proposals.propose(
      { leaseCheckpoint: { checkpoints } },
      undefined,
      onComplete(() => {}),
      raft.term,
    );
  }
}

/** Whether `version` is the minor version before `of`'s. */
function isNextBelow(version: string, of: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  const [ofMajor, ofMinor] = of.split('.').map(Number);
  return major === ofMajor && minor === (ofMinor ?? 0) - 1;
}

/** `3.7.1` → `3.7.0`. */
function majorMinor(version: string): string {
  const [major = '0', minor = '0'] = version.split('.');
  return `${major}.${minor}.0`;
}

/** As etcd logs a cluster version: `3.7`. */
function shown(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

export function compareVersions(a: string, b: string): number {
  const x = a.split('.').map(Number);
  const y = b.split('.').map(Number);
  for (let i = 0; i < 3; i++) if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}
