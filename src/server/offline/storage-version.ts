/** Rewrites a member's store for another minor version of etcd: `migrate`. Between 3.5 and 3.7 the one difference is the entry that names the version. */
import { utf8, utf8Text } from '../../base/bytes.ts';
import { serverVersion } from '../config/usage.ts';
import type { BucketName } from '../storage/backend.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../storage/bbolt/bolt-store.ts';
import { defaultBackendOptions, openBackend } from '../storage/revlog/log-backend.ts';
import { badArgsExit, offline, OfflineError } from './errors.ts';
import { openMemberDir } from './member-dir.ts';
import { storageVersion } from './snapshot-status.ts';
import type { Tool } from './tool.ts';
import { writeBolt } from './write-bolt.ts';

export interface MinorVersion {
  readonly major: number;
  readonly minor: number;
}

export interface Migrated {
  /** `3.7`, as they were and are. */
  readonly from: string;
  readonly to: string;
}

const oldest: MinorVersion = { major: 3, minor: 5 };
const entry = utf8('storageVersion');

/** Reads `X.Y`. @throws OfflineError in etcdutl's words, exit code 128. */
export function parseTargetVersion(text: string): MinorVersion {
  const parts = text.split('.');
  const wrong = (message: string): OfflineError => new OfflineError(message, { exitCode: badArgsExit });
  if (parts.length !== 2) throw wrong(`wrong target version format, expected "X.Y", got ${JSON.stringify(text)}`);
  const [major = 0, minor = 0] = parts.map((part) => {
    if (!/^[+-]?\d+$/.test(part))
      throw wrong(`failed to parse target version: strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`);
    return Number(part);
  });
  if (major < oldest.major || (major === oldest.major && minor < oldest.minor))
    throw wrong(`target version ${JSON.stringify(text)} not supported. Minimal "${oldest.major}.${oldest.minor}"`);
  return { major, minor };
}

/** @param force  set the version even where there is no way to it. @throws OfflineError */
export function migrateStorage(tool: Tool, options: { dataDir: string; target: MinorVersion; force: boolean }): Promise<Migrated> {
  return offline(async () => {
    const dir = await openMemberDir(tool, options.dataDir, '');
    try {
      const path = dir.paths.backendDir;
      return dir.kind === 'tsetcd' ? await migrateRevisionLog(tool, path, options) : await migrateBolt(tool, path, options);
    } finally {
      dir.release();
    }
  });
}

interface Wanted {
  readonly target: MinorVersion;
  readonly force: boolean;
}

/** The entry's new value: undefined to remove it, null to leave everything as it is. */
function plan(
  tool: Tool,
  meta: readonly [Uint8Array, Uint8Array][],
  { target, force }: Wanted,
): Migrated & { readonly entry: string | undefined | null } {
  const to = `${target.major}.${target.minor}`;
  const value = target.minor <= oldest.minor && target.major === oldest.major ? undefined : `${to}.0`;
  const stored = storageVersion(meta);
  const hasTerm = meta.some(([key]) => utf8Text(key) === 'term');
  const problem = stored === '' && !hasTerm ? 'missing term information' : problemOf(stored === '' ? '3.5.0' : stored, target);
  const from = stored === '' ? '3.5' : stored.split('.').slice(0, 2).join('.');
  if (problem !== undefined) {
    if (!force) throw new OfflineError(problem);
    tool.log.info('normal migrate failed, trying with force', { error: problem });
    tool.log.warn('forcefully set storage version', { 'storage-version': to });
  } else if (from === to) {
    tool.log.info('storage version up-to-date', { 'storage-version': to });
    return { from, to, entry: null };
  } else tool.log.info('updated storage version', { 'new-storage-version': `${to}.0` });
  return { from, to, entry: value };
}

function problemOf(from: string, target: MinorVersion): string | undefined {
  if (Number(from.split('.')[0]) !== target.major) return 'cannot create migration plan: changing major storage version is not supported';
  const newest = Number(serverVersion.split('.')[1]);
  return target.minor > newest ? `cannot create migration plan: version "${target.major}.${target.minor}.0" is not supported` : undefined;
}

async function migrateRevisionLog(tool: Tool, dir: string, wanted: Wanted): Promise<Migrated> {
  const { disk, clock, storageLog: log } = tool;
  const backend = openBackend({ ...defaultBackendOptions, disk, clock, log, dir });
  try {
    const { from, to, entry: value } = plan(tool, backend.entries('meta'), wanted);
    if (value === undefined) backend.delete('meta', entry);
    else if (value !== null) backend.put('meta', entry, utf8(value));
    return { from, to };
  } finally {
    await backend.close();
  }
}

async function migrateBolt(tool: Tool, path: string, wanted: Wanted): Promise<Migrated> {
  const file = tool.disk.open(path, { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    const { from, to, entry: value } = plan(tool, store.entries('meta'), wanted);
    if (value === null) return { from, to };
    const entries = (bucket: BucketName): [Uint8Array, Uint8Array][] => {
      const list = store.entries(bucket);
      if (bucket !== 'meta') return list;
      const others = list.filter(([key]) => utf8Text(key) !== 'storageVersion');
      if (value !== undefined) others.push([entry, utf8(value)]);
      return others.sort((a, b) => Buffer.compare(a[0], b[0]));
    };
    await writeBolt(tool, { rows: () => store.rows(), entries }, path);
    return { from, to };
  } finally {
    file.close();
  }
}
