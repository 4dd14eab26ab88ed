// What a machine can check of the house style: import directions, banned globals in core rooms, unused files, leftovers.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const top = join(import.meta.dirname, '..');
const src = join(top, 'src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((f) => f.endsWith('.ts'))
  .sort();
const text = new Map(files.map((f) => [f, readFileSync(join(src, f), 'utf8')]));

/** Longest match wins; the room of a file is where it lives. */
const rooms = [
  'base',
  'raft',
  'api',
  'wire',
  'client',
  'host',
  'commands',
  'server/config',
  'server/storage',
  'server/mvcc',
  'server/lease',
  'server/auth',
  'server/membership',
  'server/alarm',
  'server/txn',
  'server/apply',
  'server/consensus',
  'server/peer',
  'server/services',
  'server/http',
  'server/bootstrap',
  'server/maintenance',
  'server/offline',
  'server/proxy',
] as const;
type Room = (typeof rooms)[number] | 'entry' | 'server';

function roomOf(file: string): Room {
  let best: Room = file.startsWith('server/') ? 'server' : 'entry';
  let length = 0;
  for (const r of rooms)
    if (file.startsWith(`${r}/`) && r.length > length) {
      best = r;
      length = r.length;
    }
  return best;
}

const state: readonly Room[] = ['server/lease', 'server/auth', 'server/membership', 'server/alarm'];
const belowConsensus: readonly Room[] = [
  'base',
  'raft',
  'api',
  'server/config',
  'server/storage',
  'server/mvcc',
  ...state,
  'server/txn',
  'server/apply',
];
/** What each room may import besides itself. A missing room may import everything: the entry, the server's assembly, the commands. */
const allowed: Partial<Record<Room, readonly Room[]>> = {
  base: [],
  raft: ['base'],
  api: ['base', 'raft'],
  wire: ['base', 'api'],
  client: ['base', 'api', 'wire'],
  host: ['base'],
  'server/config': ['base'],
  'server/storage': ['base', 'api', 'raft'],
  'server/mvcc': ['base', 'api', 'server/storage'],
  'server/lease': ['base', 'api', 'server/storage'],
  // The auth store reads credentials from a call's metadata: types of the wire and of apply only.
  'server/auth': ['base', 'api', 'server/storage', 'wire', 'server/apply', 'server/txn'],
  'server/membership': ['base', 'api', 'raft', 'server/storage'],
  'server/alarm': ['base', 'api', 'server/storage'],
  'server/txn': ['base', 'api', 'server/storage', 'server/mvcc', ...state],
  'server/apply': ['base', 'raft', 'api', 'server/storage', 'server/mvcc', ...state, 'server/txn'],
  'server/consensus': [...belowConsensus],
  'server/peer': ['server/consensus', 'wire', 'api', 'base', 'raft', ...belowConsensus],
  'server/services': ['server/consensus', 'wire', 'client', ...belowConsensus],
  'server/http': ['server/consensus', 'wire', ...belowConsensus],
  'server/bootstrap': ['server/consensus', ...belowConsensus],
  'server/maintenance': ['server/consensus', ...belowConsensus],
  'server/offline': ['server/bootstrap', ...belowConsensus],
  'server/proxy': ['client', 'wire', 'api', 'base', 'server/services', 'server/http', 'server/config'],
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const out: Import[] = [];
  for (const m of text.get(file)!.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/g))
    out.push({ from: file, to: m[2]!, typeOnly: m[1] !== undefined });
  for (const m of text.get(file)!.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) out.push({ from: file, to: m[1]!, typeOnly: false });
  return out;
}
const imports = files.flatMap(importsOf);
const resolveLocal = (i: Import): string => relative(src, join(src, dirname(i.from), i.to));

/** Rooms that must not touch the outside: time, randomness, files, sockets and the process come in through seams. */
const core: readonly Room[] = ['raft', 'base', 'api', ...belowConsensus, 'server/consensus', 'server/bootstrap', 'server/maintenance'];
const bannedModules =
  /^(node:)?(fs|fs\/promises|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|process|timers|timers\/promises|perf_hooks|os)$/;
const bannedGlobals =
  /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval|setImmediate|Math\.random|process\.(?!memoryUsage)|crypto\.random\w*|randomBytes|randomUUID|queueMicrotask)\b/;

/** Comments and strings do not run. */
function codeOf(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/[^\n]*/g, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
}

describe('tidy', () => {
  it('sees the sources', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.length).toBeGreaterThan(100);
  });

  it('imports go one way', () => {
    const wrong: string[] = [];
    for (const i of imports) {
      if (!i.to.startsWith('.')) continue;
      const from = roomOf(i.from);
      const to = roomOf(resolveLocal(i));
      const may = allowed[from];
      if (from === to || may === undefined || may.includes(to)) continue;
      wrong.push(`${i.from} (${from}) imports ${resolveLocal(i)} (${to})`);
    }
    expect(wrong).toEqual([]);
  });

  it('core rooms reach the outside through seams only', () => {
    const wrong: string[] = [];
    for (const f of files) {
      if (!core.includes(roomOf(f))) continue;
      for (const i of importsOf(f)) if (bannedModules.test(i.to)) wrong.push(`${f} imports ${i.to}`);
      const hit = bannedGlobals.exec(codeOf(text.get(f)!));
      if (hit) wrong.push(`${f} uses ${hit[0]}`);
    }
    expect(wrong).toEqual([]);
  });

  it('libraries stay in their rooms', () => {
    const owner: Record<string, readonly Room[]> = {
      '@grpc/grpc-js': ['wire'],
      'node:http2': ['wire', 'server/http', 'client'],
      protobufjs: ['api'],
      commander: ['commands'],
      chalk: ['commands'],
      ora: ['commands'],
      'cli-table3': ['commands'],
    };
    const wrong = imports.filter((i) => owner[i.to] !== undefined && !owner[i.to]!.includes(roomOf(i.from)));
    expect(wrong.map((i) => `${i.from} imports ${i.to}`)).toEqual([]);
  });

  it('every file is used', () => {
    const entries = new Set([
      'main.ts',
      'commands/control.ts',
      'client/index.ts',
      'server/embed.ts',
      // Read by scripts/man-pages.mjs.
      'commands/man.ts',
      ...files.filter((f) => f.startsWith('host/workers/') || f.startsWith('workers/')),
    ]);
    const used = new Set(imports.filter((i) => i.to.startsWith('.')).map(resolveLocal));
    expect(files.filter((f) => !used.has(f) && !entries.has(f))).toEqual([]);
  });

  it('nothing is left open', () => {
    const marks = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'debugger;', 'console\\.log\\('].join('|'));
    expect(files.filter((f) => !f.startsWith('commands/') && marks.test(text.get(f)!))).toEqual([]);
  });
});
