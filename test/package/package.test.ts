// The package as its users have it: packed, put into an empty project, compiled against, run. And the clone: one command, twice.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, httpGet, scratch, top, until } from '../support/member.ts';

const place = scratch();
/** Blanks and letters beyond ASCII, as in many a home directory. */
const clone = join(place.dir, 'a clöne');
const project = join(place.dir, 'proj ect');
afterAll(() => place.remove());

const env = {
  ...process.env,
  npm_config_offline: 'true',
  npm_config_registry: 'http://127.0.0.1:9/',
  NODE_OPTIONS: '',
  NO_COLOR: '1',
  FORCE_COLOR: undefined,
};
const manifest = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };

/** The tree without what is made from it. */
function copyTree(): void {
  mkdirSync(clone);
  const skipped = new Set(['node_modules', 'dist', '.git', '.cache', 'test']);
  for (const name of readdirSync(top)) if (!skipped.has(name)) cpSync(join(top, name), join(clone, name), { recursive: true });
  symlinkSync(join(top, 'node_modules'), join(clone, 'node_modules'));
}

const link = (name: string): void => {
  const to = join(project, 'node_modules', name);
  mkdirSync(dirname(to), { recursive: true });
  symlinkSync(join(top, 'node_modules', name), to);
};

const node = (args: readonly string[], cwd = project): { status: number | null; stdout: string; stderr: string } => {
  const r = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 300_000, env });
  return { status: r.status, stdout: r.stdout, stderr: r.stderr };
};

const flags = async (dir: string): Promise<{ args: string[]; url: string }> => {
  const [client = 0, peer = 0] = await freePorts(2);
  const url = `http://127.0.0.1:${client}`;
  return {
    url,
    args: [
      '--data-dir',
      dir,
      '--listen-client-urls',
      url,
      '--advertise-client-urls',
      url,
      '--listen-peer-urls',
      `http://127.0.0.1:${peer}`,
    ],
  };
};

beforeAll(() => {
  copyTree();
}, 60_000);

describe('a fresh clone', () => {
  it('is set up by the command that runs it, once, without network the second time', async () => {
    const built = join(clone, 'dist/.built');
    const at: number[] = [];
    for (let i = 0; i < 2; i++) {
      const { args, url } = await flags(join(place.dir, 'from-start'));
      const child = spawn(process.execPath, [join(clone, 'scripts/run.mjs'), 'server', ...args], {
        cwd: place.dir,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (d: string) => (log += d));
      const exit = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
      await until(
        `the member:\n${log}`,
        () =>
          httpGet(`${url}/health`).then(
            (r) => r.status === 200,
            () => false,
          ),
        60_000,
      );
      expect(log.includes('building')).toBe(i === 0);
      // One process: the signal reaches the member itself, and its arguments are its own.
      expect(readFileSync(`/proc/${child.pid}/cmdline`, 'latin1')).toContain('--listen-client-urls');
      child.kill('SIGTERM');
      expect(await exit).toBe('SIGTERM');
      expect(log).toContain('"msg":"closed etcd server"');
      at.push(statSync(built).mtimeMs);
    }
    expect(at[1]).toBe(at[0]);
  }, 120_000);

  it('runs npx tsetcd put foo bar', async () => {
    const { args, url } = await flags(join(place.dir, 'npx'));
    const member = spawn(process.execPath, [join(clone, 'bin/tsetcd'), 'server', ...args], { stdio: 'ignore', env });
    try {
      await until('the member', () =>
        httpGet(`${url}/health`).then(
          (r) => r.status === 200,
          () => false,
        ),
      );
      const npx = (...words: string[]): string =>
        execFileSync('npx', ['--offline', 'tsetcd', ...words, `--endpoints=${url}`], { cwd: clone, env, encoding: 'utf8' });
      expect(npx('put', 'foo', 'bar')).toBe('OK\n');
      expect(npx('get', 'foo')).toBe('foo\nbar\n');
      // By a link somewhere else, under etcd's name.
      const tool = join(place.dir, 'etcdctl');
      symlinkSync(join(clone, 'bin/tsetcd'), tool);
      expect(execFileSync(tool, ['get', 'foo', '--print-value-only', `--endpoints=${url}`], { env, encoding: 'utf8' })).toBe('bar\n');
    } finally {
      member.kill('SIGKILL');
    }
  }, 60_000);
});

describe('the packed package in an empty project', () => {
  beforeAll(() => {
    execFileSync('npm', ['pack', '--pack-destination', place.dir], { cwd: clone, env, stdio: 'pipe' });
    const tarball = readdirSync(place.dir).find((n) => n.endsWith('.tgz')) ?? '';
    mkdirSync(join(project, 'node_modules/tsetcd'), { recursive: true });
    execFileSync('tar', ['-xzf', join(place.dir, tarball), '-C', join(project, 'node_modules/tsetcd'), '--strip-components=1']);
    for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'typescript', 'vitest', 'vite']) link(name);
    writeFileSync(join(project, 'package.json'), '{"name":"project","version":"1.0.0","type":"module","private":true}');
    cpSync(join(top, 'test/package/example'), join(project, 'src'), { recursive: true });
    // Not by its own name here, where the project's tests are looked for.
    renameSync(join(project, 'src/member.vitest.ts'), join(project, 'src/member.test.ts'));
  }, 600_000);

  it('has what it needs and nothing of the workshop', () => {
    const inside = readdirSync(join(project, 'node_modules/tsetcd'), { recursive: true, encoding: 'utf8' });
    for (const needed of [
      'bin/tsetcd',
      'bin/load.cjs',
      'dist/member.cjs',
      'dist/client.js',
      'dist/server.js',
      'dist/workers/disk.js',
      'LICENSE',
      'README.md',
    ])
      expect(inside).toContain(needed);
    expect(inside.filter((n) => /^(src|test|scripts|node_modules)\b|\.ts$/.test(n) && !n.endsWith('.d.ts'))).toEqual([]);
    for (const n of inside.filter((f) => f.endsWith('.d.ts')))
      expect(readFileSync(join(project, 'node_modules/tsetcd', n), 'utf8'), n).not.toMatch(/from '\.[^']*\.ts'/);
  });

  it.each([
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ])(
    'compiles under strict with its types (module %s, resolution %s)',
    (module, moduleResolution) => {
      const options = {
        ...{ module, moduleResolution, target: 'ES2023', lib: ['ES2023'], types: ['node'], outDir: 'out', rootDir: 'src' },
        ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
      };
      // Vitest's own types are no part of this.
      writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['src/run.ts', 'src/client.ts'] }));
      const r = node(['node_modules/typescript/bin/tsc', '-p', '.']);
      expect(r.stdout).toBe('');
      expect(r.status).toBe(0);
    },
    300_000,
  );

  it('runs members in the process, which then ends by itself', () => {
    const r = node(['out/run.js', join(project, 'data')]);
    expect(r.stderr).toBe('');
    expect(r.stdout).toBe('["hello","hello again"]\nkept\n');
    expect(r.status).toBe(0);
  });

  it('serves in a vitest', () => {
    const r = node(['node_modules/vitest/vitest.mjs', 'run', '--root', '.', 'src/member.test.ts']);
    expect(r.stdout + r.stderr).toMatch(/Tests +2 passed/);
    expect(r.status).toBe(0);
  });

  it('brings the program, by its bin link', async () => {
    mkdirSync(join(project, 'node_modules/.bin'));
    symlinkSync('../tsetcd/bin/tsetcd', join(project, 'node_modules/.bin/tsetcd'));
    const program = join(project, 'node_modules/.bin/tsetcd');
    expect(statSync(program).mode & 0o111).toBe(0o111);
    const { args, url } = await flags(join(project, 'default.etcd'));
    const member = spawn(program, ['server', ...args], { stdio: 'ignore', env });
    try {
      await until('the member', () =>
        httpGet(`${url}/health`).then(
          (r) => r.status === 200,
          () => false,
        ),
      );
      expect(execFileSync(program, ['put', 'foo', 'bar', `--endpoints=${url}`], { encoding: 'utf8', env })).toBe('OK\n');
      expect(existsSync(join(project, 'default.etcd/member/wal'))).toBe(true);
    } finally {
      member.kill('SIGKILL');
    }
  });
});
