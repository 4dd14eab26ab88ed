// What etcd's tools do not have: export, import, diff, history, tree, formats of our own, dry runs, large ranges, the shell.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { oneMember, program, run, scratch, type Ran } from '../support/member.ts';

type Member = Awaited<ReturnType<typeof oneMember>>;

describe('commands of our own', { timeout: 120_000 }, () => {
  let member: Member;
  const place = scratch();
  const file = (name: string): string => join(place.dir, name);

  beforeAll(async () => {
    member = await oneMember();
  });
  afterAll(async () => {
    await member.remove();
    place.remove();
  });

  const tsetcd = (words: readonly string[], stdin = ''): Promise<Ran> =>
    run(process.execPath, [program, ...words], {
      stdin,
      cwd: place.dir,
      env: { ETCDCTL_ENDPOINTS: member.endpoint, NO_COLOR: '1', TSETCD_CONFIRM: undefined },
    });
  const ok = async (words: readonly string[], stdin = ''): Promise<string> => {
    const { code, stdout, stderr } = await tsetcd(words, stdin);
    expect({ code, stderr }, words.join(' ')).toEqual({ code: 0, stderr: '' });
    return stdout;
  };

  it('export writes JSON lines and YAML that import takes, under the same prefix or another', async () => {
    const lease = (await ok(['lease', 'grant', '600'])).split(' ')[1] ?? '';
    await ok(['put', 'x/a', '1']);
    await ok(['put', 'x/a', '2']);
    await ok(['put', 'x/lines'], 'one\ntwo\n');
    await ok(['put', 'x/ü"', '']);
    await ok(['put', 'x/leased', 'v', `--lease=${lease}`]);
    await ok(['txn'], '\nput "x/\\xff" "\\x00\\xfe"\n\n\n');
    const lines = (await ok(['export', 'x/'])).trimEnd().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ export: 1, prefix: 'x/' });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ key: 'x/a', value: '2', version: 2 });
    expect(lines.at(-1)).toBe('{"end":true}');
    const leased = lines.map((l) => JSON.parse(l) as Record<string, unknown>).find((o) => o['key'] === 'x/leased');
    expect(leased).toMatchObject({ lease, ttl: 600 });
    expect(lines.some((l) => l.includes('"key_base64":"eC//"') && l.includes('"value_base64":"AP4="'))).toBe(true);

    const yaml = await ok(['export', 'x/', '--format=yaml']);
    const doc = parse(yaml) as { keys: Record<string, unknown>[]; end: boolean };
    expect(doc.end).toBe(true);
    expect(doc.keys).toHaveLength(5);

    for (const [format, to] of [
      ['jsonl', 'y/'],
      ['yaml', 'z/'],
    ] as const) {
      const name = `a b ü.${format}`;
      const exported = await tsetcd(['export', 'x/', `--format=${format}`, '-o', name]);
      expect(exported).toMatchObject({ code: 0, stdout: '' });
      expect(exported.stderr).toContain('5 keys');
      expect(await ok(['import', name, `--to=${to}`])).toContain('created 5, changed 0, under 1 new lease');
      expect(await tsetcd(['diff', 'x/', to])).toEqual({ code: 0, stdout: '', stderr: '' });
      const copy = JSON.parse(await ok(['get', `${to}leased`, '-w', 'json'])) as { kvs: { lease?: number }[] };
      expect(copy.kvs[0]?.lease).toBeDefined();
    }
  });

  it('an import that nobody interrupts twice: what is there counts as unchanged', async () => {
    await ok(['put', 'again/a', '1']);
    await ok(['put', 'again/b', '2']);
    const text = await ok(['export', 'again/']);
    expect(await ok(['import', '--to=half/', '--dry-run'], text)).toBe(
      `+ half/a\n+ half/b\n${(await ok(['import', '--to=half/', '--dry-run'], text)).split('\n').at(-2)}\n`,
    );
    await ok(['put', 'half/a', '1']);
    expect(await ok(['import', '--to=half/'], text)).toMatch(/create 1, change 0, unchanged 1, in the way 0\ncreated 1, changed 0\n$/);
    expect(await ok(['import', '--to=half/'], text)).toMatch(/create 0, change 0, unchanged 2, in the way 0\ncreated 0, changed 0\n$/);
  });

  it('an import changes nothing that is in the way, unless told to', async () => {
    await ok(['put', 'way/a', 'mine']);
    const text = '{"key":"way/a","value":"theirs"}\n{"key":"way/b","value":"new"}\n';
    const refused = await tsetcd(['import'], text);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toMatch(/create 1, change 0, unchanged 0, in the way 1\n$/);
    expect(refused.stderr).toContain('way/a');
    expect(await ok(['get', 'way/', '--prefix'])).toBe('way/a\nmine\n');
    expect(await ok(['import', '--skip-existing'], text)).toContain('created 1, changed 0');
    expect(await ok(['get', 'way/a'])).toBe('way/a\nmine\n');
    expect(await ok(['import', '--overwrite', '--dry-run'], text)).toContain('~ way/a\n');
    expect(await ok(['import', '--overwrite'], text)).toContain('created 0, changed 1');
    expect(await ok(['get', 'way/a'])).toBe('way/a\ntheirs\n');
  });

  it('files that are cut off, of another kind or wrong are refused before anything is written', async () => {
    await ok(['put', 'bad/a', '1']);
    const whole = await ok(['export', 'bad/']);
    const wrong: readonly (readonly [string, string])[] = [
      [whole.slice(0, whole.lastIndexOf('{"end"')), 'cut off'],
      [whole.slice(0, -30), 'no JSON'],
      ['{"export":9}\n{"end":true}\n', 'another version'],
      ['{"key":7.5}\n{"key":""}\n', 'no key'],
      ['{"key_base64":"?"}\n', 'no base64'],
      ['{"key":"k","lease":"xyz"}\n', 'lease'],
      ['just text\n', 'no list of keys'],
      ['keys: [\n', 'no YAML'],
    ];
    for (const [text, why] of wrong) {
      const { code, stderr } = await tsetcd(['import', '--to=worse/'].slice(0, text.includes('"export":1') ? 2 : 1), text);
      expect({ code, says: stderr.includes(why), stderr }).toEqual({ code: 3, says: true, stderr });
    }
    expect(await ok(['get', 'worse/', '--prefix'])).toBe('');
    expect((await tsetcd(['import', 'no-such-file'])).stderr).toBe('Error: open no-such-file: no such file or directory\n');
  });

  it('diff tells prefixes and revisions apart', async () => {
    for (const [k, v] of [
      ['l/same', '1'],
      ['r/same', '1'],
      ['l/only', '1'],
      ['r/new', '1'],
      ['l/other', 'old'],
      ['r/other', 'new'],
    ] as const)
      await ok(['put', k, v]);
    const different = await tsetcd(['diff', 'l/', 'r/']);
    expect(different).toEqual({ code: 1, stderr: '', stdout: '+ new\n    + 1\n- only\n    - 1\n~ other\n    - old\n    + new\n' });
    expect((await tsetcd(['diff', 'l/', 'r/', '--keys-only'])).stdout).toBe('+ new\n- only\n~ other\n');
    const json = (await tsetcd(['diff', 'l/', 'r/', '-w', 'jsonl', '--utf8'])).stdout.trimEnd().split('\n');
    expect(json.map((l) => (JSON.parse(l) as { change: string }).change)).toEqual(['added', 'removed', 'changed']);
    const revision = (JSON.parse(await ok(['get', 'l/only', '-w', 'json'])) as { header: { revision: number } }).header.revision;
    await ok(['del', 'l/only']);
    expect((await tsetcd(['diff', 'l/', `--rev=${revision}`])).stdout).toBe('- only\n    - 1\n');
    expect((await tsetcd(['diff', 'l/', `--other-endpoints=${member.endpoint}`])).code).toBe(0);
    expect((await tsetcd(['diff', 'l/'])).code).toBe(128);
    expect((await tsetcd(['diff', 'l/', 'r/', '-w', 'table'])).code).toBe(4);
  });

  it('history shows every change that is not compacted', async () => {
    const first = JSON.parse(await ok(['put', 'h', 'one', '-w', 'json'])) as { header: { revision: number } };
    const base = first.header.revision;
    await ok(['put', 'h', 'two']);
    await ok(['del', 'h']);
    await ok(['put', 'h', 'three']);
    await ok(['put', 'elsewhere', 'x']);
    const rows = (text: string): string[][] =>
      text
        .trimEnd()
        .split('\n')
        .map((l) => l.trim().split(/ {2,}/));
    expect(rows(await ok(['history', 'h']))).toEqual([
      [String(base), 'put', 'version 1', 'one'],
      [String(base + 1), 'put', 'version 2', 'two'],
      [String(base + 2), 'delete'],
      [String(base + 3), 'put', 'version 1', 'three'],
    ]);
    expect(rows(await ok(['history', 'h', '--limit=1']))).toEqual([[String(base + 3), 'put', 'version 1', 'three']]);
    expect(rows(await ok(['history', 'h', `--to-rev=${base}`]))).toHaveLength(1);
    expect(await ok(['history', 'never-was'])).toBe('');
    expect(await ok(['history', 'h', '-w', 'grid'])).toContain('REVISION');
    await ok(['compaction', String(base + 1)]);
    expect(rows(await ok(['history', 'h'])).map((r) => r[0])).toEqual([base + 1, base + 2, base + 3].map(String));
    const lines = (await ok(['history', 'h', '-w', 'jsonl'])).trimEnd().split('\n');
    expect(lines.map((l) => (JSON.parse(l) as { type: string }).type)).toEqual(['PUT', 'DELETE', 'PUT']);
  });

  it('destructive commands only say what they would do when asked to', async () => {
    await ok(['put', 'dry/a', '1']);
    const lease = (await ok(['lease', 'grant', '600'])).split(' ')[1] ?? '';
    await ok(['put', 'dry/b', '1', `--lease=${lease}`]);
    expect(await ok(['del', 'dry/', '--prefix', '--dry-run'])).toBe('would delete 2 keys\n  dry/a\n  dry/b\n');
    expect(await ok(['lease', 'revoke', lease, '--dry-run'])).toBe(`would end lease ${lease} and delete its 1 keys\n  dry/b\n`);
    await ok(['user', 'add', 'dry:p']);
    expect(await ok(['user', 'delete', 'dry', '--dry-run'])).toBe('would delete user dry\n');
    await ok(['role', 'add', 'dry']);
    expect(await ok(['role', 'delete', 'dry', '--dry-run'])).toBe('would delete role dry with its 0 permissions\n');
    const id = (await ok(['member', 'list'])).split(',')[0] ?? '';
    expect(await ok(['member', 'remove', id, '--dry-run'])).toContain(`would remove member ${id}, called default, from a cluster of 1\n`);
    expect(await ok(['compaction', '2', '--dry-run'])).toContain('would forget history before revision 2');
    // Without a terminal nobody is asked.
    expect(await ok(['del', 'dry/a', '--confirm'])).toBe('1\n');
    expect(await ok(['get', 'dry/b', '--keys-only'])).toBe('dry/b\n\n');
  });

  it('a large range is the same in parts as at once, in every format', async () => {
    for (let i = 0; i < 10; i++)
      await ok(
        ['txn'],
        `\n${Array.from({ length: 100 }, (_, j) => `put big/${String(i * 100 + j).padStart(4, '0')} w${'v'.repeat(j)}\n`).join('')}\n\n`,
      );
    const sorted = ['--sort-by=CREATE', '--order=ASCEND'];
    // Sorted by when keys were made, which in each transaction is in their order: one answer, which cannot be divided.
    for (const format of ['simple', 'json', 'fields', 'protobuf', 'jsonl', 'yaml', 'grid']) {
      const whole = await ok(['get', 'big/', '--prefix', '-w', format, ...sorted]);
      // Nothing of it may have to wait for a deadline.
      expect(await ok(['get', 'big/', '--prefix', '-w', format, '--command-timeout=110s']), format).toBe(whole);
      expect(await ok(['get', 'big/', '--prefix', '-w', format, '--stream']), format).toBe(whole);
      const some = await ok(['get', 'big/', '--prefix', '-w', format, '--limit=300', ...sorted]);
      expect(await ok(['get', 'big/', '--prefix', '-w', format, '--limit=300']), format).toBe(some);
    }
    expect((await tsetcd(['get', 'big/', '--prefix', '-w', 'table'])).code).toBe(4);
    expect((await ok(['tree', 'big/'])).split('\n')[0]).toBe('big/ (1000)');
  });

  it('a reader that goes away is no error', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${program}" get big/ --prefix | head -1`], {
      env: { ...process.env, ETCDCTL_ENDPOINTS: member.endpoint },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (d: Buffer) => (out += d.toString()));
    child.stderr.on('data', (d: Buffer) => (err += d.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect({ code, out, err }).toEqual({ code: 0, out: 'big/0000\n', err: '' });
  });

  it('a shell runs a thousand lines of put over one connection, and commands find their input behind them', async () => {
    const puts = Array.from({ length: 1000 }, (_, i) => `put "shell/${i} ü" 'value ${i}'\n`).join('');
    const out = await ok(['shell'], `# a comment\n\n${puts}txn\nmod("shell/0 ü") > "0"\n\nget "shell/999 ü"\n\n\nput shell/last x`);
    expect(out).toBe(`${'OK\n'.repeat(1000)}SUCCESS\n\nshell/999 ü\nvalue 999\nOK\n`);
    expect(await ok(['get', 'shell/last'])).toBe('shell/last\nx\n');
    const failed = await tsetcd(['shell'], 'put shell/x 1\nput\nput shell/never 1\n');
    expect(failed).toMatchObject({ code: 128, stdout: 'OK\n' });
    expect(await ok(['get', 'shell/never'])).toBe('');
  });

  it('an export appears under its name only when it is whole', async () => {
    writeFileSync(file('kept.jsonl'), 'before');
    const { code } = await tsetcd(['export', 'x/', '-o', 'kept.jsonl', '--rev=999999']);
    expect(code).toBe(1);
    expect(readFileSync(file('kept.jsonl'), 'utf8')).toBe('before');
    expect((await tsetcd(['export', 'x/', '-o', 'no/such/dir.jsonl'])).code).toBe(6);
  });

  it('the names etcdctl and etcdutl know nothing of all this', async () => {
    const { symlinkSync } = await import('node:fs');
    const link = file('etcdctl');
    symlinkSync(program, link);
    const etcdctl = (words: readonly string[]): Promise<Ran> =>
      run(process.execPath, [link, ...words], { env: { ETCDCTL_ENDPOINTS: member.endpoint, TSETCD_CONFIRM: '1' } });
    for (const words of [
      ['export'],
      ['import'],
      ['diff', 'a', 'b'],
      ['history', 'a'],
      ['tree'],
      ['shell'],
      ['server'],
      ['util', 'version'],
    ])
      expect((await etcdctl(words)).stderr, words.join(' ')).toContain(`unknown command "${words[0]}"`);
    for (const flag of ['--dry-run', '--confirm', '--no-pager', '--utf8', '--error-format=json'])
      expect((await etcdctl(['del', 'nothing-there', flag])).stderr, flag).toContain('unknown flag');
    for (const format of ['grid', 'yaml', 'jsonl'])
      expect(await etcdctl(['get', 'a', '-w', format]), format).toMatchObject({ code: 4, stderr: 'Error: unsupported output format\n' });
  });
});
