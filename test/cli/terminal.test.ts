// A person at a terminal: prompts, passwords, spinners, colours, pager, Ctrl-C; and that nothing of it is seen when output is piped.
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect as connectClient } from '../../src/client/index.ts';
import { freePorts, oneMember, program, run, until } from '../support/member.ts';
import { Terminal, type TerminalOptions } from '../support/terminal.ts';

const ctrlC = '\x03';
const escape = '\x1b';

describe('at a terminal', { timeout: 120_000 }, () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  const open: Terminal[] = [];
  let dir = '';

  beforeAll(async () => {
    member = await oneMember({ args: ['--bcrypt-cost=4'] });
    // A path with a blank and a letter that is not ASCII, as on many a desktop.
    dir = mkdtempSync(join(tmpdir(), 'tsetcd übung '));
    for (const name of ['etcdctl', 'tsetcd']) symlinkSync(program, join(dir, name));
  });
  afterAll(async () => {
    for (const t of open) t.end();
    await member.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  const at = (words: readonly string[], options: TerminalOptions = {}): Terminal => {
    const terminal = new Terminal([process.execPath, ...words], {
      ...options,
      env: { ETCDCTL_ENDPOINTS: member.endpoint, ...options.env },
    });
    open.push(terminal);
    return terminal;
  };
  const tsetcd = (words: readonly string[], options: TerminalOptions = {}): Terminal => at([join(dir, 'tsetcd'), ...words], options);
  const piped = (words: readonly string[], env: Record<string, string> = {}, name = 'tsetcd') =>
    run(process.execPath, [join(dir, name), ...words], {
      env: { ETCDCTL_ENDPOINTS: member.endpoint, TERM: 'xterm', CI: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
    });

  it('txn --interactive asks for its sections', async () => {
    const t = tsetcd(['txn', '--interactive']);
    await t.see('compares:');
    t.type('mod("t") = "0"\n\n');
    await t.see('success requests (get, put, del):');
    t.type('put t 1\nget t\n\n');
    await t.see('failure requests (get, put, del):');
    t.type('\n');
    await t.see('SUCCESS');
    await t.see('OK');
    expect(await t.exit).toBe(0);
  });

  it('watch --interactive shows events and ends with 130 on Ctrl-C', async () => {
    const t = tsetcd(['watch', '--interactive']);
    t.type('watch w --rev=1\n');
    await t.see('watch w --rev=1');
    await piped(['put', 'w', 'seen']);
    await t.see('PUT');
    await t.see('seen');
    t.type(ctrlC);
    expect(await t.exit).toBe(130);
  });

  it('passwords are asked for twice and never shown', async () => {
    const t = tsetcd(['user', 'add', 'alice']);
    await t.see('Password of alice:');
    t.type('hunter2\n');
    await t.see('Type password of alice again for confirmation:');
    t.type('hunter2\n');
    await t.see('User alice created');
    expect(await t.exit).toBe(0);
    expect(t.text).not.toContain('hunter2');
  });

  it('backspace mends a password; two that differ are refused; Ctrl-C at the prompt is 130', async () => {
    const t = tsetcd(['user', 'add', 'bob']);
    await t.see('Password of bob:');
    t.type('abX\x7f\n');
    await t.see('again for confirmation:');
    t.type('ab\n');
    await t.see('User bob created');
    expect(await t.exit).toBe(0);
    const u = tsetcd(['user', 'passwd', 'bob']);
    await u.see('Password of bob:');
    u.type('one\n');
    await u.see('again for confirmation:');
    u.type('two\n');
    await u.see('given passwords are different');
    expect(await u.exit).toBe(128);
    const v = tsetcd(['user', 'passwd', 'bob']);
    await v.see('Password of bob:');
    v.type(ctrlC);
    expect(await v.exit).toBe(130);
  });

  it('del --confirm tells the number and asks', async () => {
    for (const key of ['d/1', 'd/2']) await piped(['put', key, 'x']);
    const no = tsetcd(['del', 'd/', '--prefix', '--confirm']);
    await no.see('delete 2 keys');
    await no.see('d/1');
    await no.see('[y/N]');
    no.type('n\n');
    expect(await no.exit).toBe(0);
    expect((await piped(['get', 'd/', '--prefix', '--keys-only'])).stdout).toContain('d/2');
    const yes = tsetcd(['del', 'd/', '--prefix'], { env: { TSETCD_CONFIRM: '1' } });
    await yes.see('[y/N]');
    yes.type('y\n');
    await yes.see('2');
    expect(await yes.exit).toBe(0);
    expect((await piped(['get', 'd/', '--prefix', '--keys-only'])).stdout).toBe('');
  });

  it('make-mirror shows a spinner with a rate, on a terminal alone', async () => {
    for (let i = 0; i < 3; i++) await piped(['put', `m/${i}`, 'x']);
    const words = ['make-mirror', member.endpoint, '--prefix=m/', '--dest-prefix=n/'];
    const t = tsetcd(words);
    await t.see('make-mirror');
    const shown = async (): Promise<boolean> => (await piped(['get', 'n/2'])).stdout !== '';
    while (!(await shown())) await new Promise((r) => setTimeout(r, 50));
    // Each copy that comes later than the last drawing is drawn.
    for (let i = 0; !/make-mirror: \d+ keys?, \d+ keys?\/s/.test(t.text) && i < 200; i++) await piped(['put', `m/x${i}`, 'x']);
    expect(t.text).toMatch(/make-mirror: \d+ keys?, \d+ keys?\/s/);
    t.type(ctrlC);
    expect(await t.exit).toBe(130);
    const link = at([join(dir, 'etcdctl'), ...words]);
    link.type('');
    await new Promise((r) => setTimeout(r, 300));
    link.type(ctrlC);
    expect(await link.exit).toBe(130);
    expect(link.text).not.toContain('make-mirror');
  });

  it('check perf shows how far it is', async () => {
    const t = tsetcd(['check', 'perf']);
    await until('how far check perf is', () => /check perf: \d+ writes of 9000 writes \(\d+ %\), \d+ writes\/s/.test(t.text));
    t.type(ctrlC);
    expect(await t.exit).toBe(130);
  });

  it('a snapshot that takes its time shows sizes and a rate', async () => {
    for (let i = 0; i < 4; i++) await piped(['put', `big/${i}`, 'x'.repeat(120_000)]);
    // Every piece of what the member sends comes 100 ms after the one before.
    const slow = createServer((near) => {
      const far = connect(Number(new URL(`http://${member.endpoint}`).port), '127.0.0.1');
      near.pipe(far);
      let due = Promise.resolve();
      far.on('data', (piece) => {
        due = due.then(() => new Promise((resolve) => setTimeout(resolve, 100))).then(() => void near.write(piece));
      });
      for (const end of [near, far])
        end
          .on('error', () => undefined)
          .on('close', () => {
            near.destroy();
            far.destroy();
          });
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = slow.address() as AddressInfo;
      const t = tsetcd(['snapshot', 'save', join(dir, 'slow.db')], { env: { ETCDCTL_ENDPOINTS: `127.0.0.1:${port}` } });
      expect(await t.exit, t.text).toBe(0);
      expect(t.text).toMatch(/snapshot: [\d.]+ \w?B of [\d.]+ \w?B \(\d+ %\), [\d.]+ \w?B\/s/);
      expect(t.text).toContain('Snapshot saved');
    } finally {
      slow.close();
    }
  });

  it('a restore that takes its time shows sizes and a rate, on a terminal alone', async () => {
    const { endpoint, remove } = await oneMember();
    const [file, copy] = [join(dir, 'large.db'), join(dir, 'copy of large.db')];
    try {
      const client = connectClient({ endpoints: [endpoint] });
      const value = Buffer.alloc(1_500_000, 'x');
      for (let i = 0; i < 40; i++) await client.put(`large/${i}`, value);
      client.close();
      expect(await piped(['snapshot', 'save', file], { ETCDCTL_ENDPOINTS: endpoint })).toMatchObject({ code: 0, stderr: '' });
    } finally {
      await remove();
    }
    const t = tsetcd(['snapshot', 'restore', file, '--data-dir', join(dir, 'large.etcd')]);
    expect(await t.exit, t.text).toBe(0);
    expect(t.text).toMatch(/restore: [\d.]+ \w?B of [\d.]+ \w?B \(\d+ %\), [\d.]+ \w?B\/s/);
    const quiet = await piped(['snapshot', 'restore', file, '--data-dir', copy]);
    expect(quiet.code).toBe(0);
    expect(quiet.stdout + quiet.stderr).not.toContain(escape);
    expect(quiet.stdout + quiet.stderr).not.toContain('B/s');
  });

  it('a saved snapshot and a defragmentation say their sizes, on a terminal alone', async () => {
    const t = tsetcd(['defrag']);
    await t.see('before');
    await t.see('now');
    await t.see('Finished defragmenting');
    expect(await t.exit).toBe(0);
    const save = await piped(['snapshot', 'save', join(dir, 'a b.db')]);
    expect(save).toMatchObject({ code: 0, stderr: '' });
    const quiet = await piped(['defrag']);
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    expect(quiet.stdout).not.toContain(escape);
  });

  it('errors are coloured and explained on a terminal, and plain in a pipe and under the name etcdctl', async () => {
    const [port] = await freePorts(1);
    const words = ['get', 'a', `--endpoints=127.0.0.1:${port}`, '--command-timeout=1s'];
    const env = { ETCDCTL_ENDPOINTS: undefined };
    const t = tsetcd(words, { env });
    await t.see(`${escape}[31mError:${escape}[39m context deadline exceeded`);
    await t.see('hint:');
    await t.see('nobody listens');
    expect(await t.exit).toBe(1);
    const plain = tsetcd(words, { env: { ...env, NO_COLOR: '1' } });
    await plain.see('Error: context deadline exceeded');
    await plain.see('hint: nobody listens');
    expect(await plain.exit).toBe(1);
    expect(plain.text).not.toContain(escape);
    const link = at([join(dir, 'etcdctl'), ...words], { env });
    expect(await link.exit).toBe(1);
    expect(link.text).not.toContain(escape);
    expect(link.text).not.toContain('hint');
    const without = { ...process.env, ETCDCTL_ENDPOINTS: '' };
    delete (without as Record<string, string | undefined>)['ETCDCTL_ENDPOINTS'];
    const inPipe = async (more: Record<string, string | undefined>) =>
      run(process.execPath, [join(dir, 'tsetcd'), ...words], {
        env: { ETCDCTL_ENDPOINTS: undefined, CI: undefined, NO_COLOR: undefined, ...more },
      });
    expect(await inPipe({ FORCE_COLOR: undefined })).toMatchObject({ code: 1, stderr: 'Error: context deadline exceeded\n' });
    expect((await inPipe({ FORCE_COLOR: '1' })).stderr).toContain(`${escape}[31mError:`);
    expect((await inPipe({ FORCE_COLOR: '0' })).stderr).toBe('Error: context deadline exceeded\n');
  });

  it('a slip of the finger gets a hint', async () => {
    const flag = tsetcd(['get', 'a', '--prefx']);
    await flag.see('unknown flag: --prefx');
    await flag.see('hint: did you mean --prefix?');
    expect(await flag.exit).toBe(1);
    const word = tsetcd(['lease', 'grnt', '60']);
    await word.see('hint: did you mean grant?');
    expect(await word.exit).toBe(0);
  });

  it('a table longer than the screen goes through the pager, unless it is piped or unwanted', async () => {
    for (let i = 0; i < 12; i++) await piped(['put', `p/${i}`, 'x']);
    const words = ['get', 'p/', '--prefix', '-w', 'grid'];
    const PAGER = 'sed s/^/paged:/';
    const t = tsetcd(words, { env: { PAGER }, rows: 10 });
    await t.see('paged:┌');
    await t.see('paged:└');
    expect(await t.exit).toBe(0);
    const short = tsetcd(words, { env: { PAGER }, rows: 60 });
    await short.see('└');
    expect(await short.exit).toBe(0);
    expect(short.text).not.toContain('paged:');
    const unwanted = tsetcd([...words, '--no-pager'], { env: { PAGER }, rows: 10 });
    await unwanted.see('└');
    expect(await unwanted.exit).toBe(0);
    expect(unwanted.text).not.toContain('paged:');
    const missing = tsetcd(words, { env: { PAGER: 'no-such-pager-here' }, rows: 10 });
    await missing.see('└');
    expect(await missing.exit).toBe(0);
    expect((await piped(words, { PAGER })).stdout).not.toContain('paged:');
    const link = at([join(dir, 'etcdctl'), 'endpoint', 'status', '-w', 'table'], { env: { PAGER }, rows: 3 });
    await link.see('└');
    expect(await link.exit).toBe(0);
    expect(link.text).not.toContain('paged:');
  });

  it('the shell prompts, completes with Tab, remembers, and leaves on exit', async () => {
    const t = tsetcd(['shell']);
    await t.see('tsetcd> ');
    t.type('put shell/one 1\n');
    await t.see('OK');
    await t.see('tsetcd> ');
    t.type('get shell/o\t');
    await t.see('shell/one');
    t.type('\n');
    await t.see('1');
    await t.see('tsetcd> ');
    t.type('nope\n');
    await t.see('unknown command "nope"');
    await t.see('tsetcd> ');
    t.type('exit\n');
    expect(await t.exit).toBe(0);
  });
});
