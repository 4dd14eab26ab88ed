// The shape that other programs parse, and that a reader who does not read holds nobody up.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog, openSink, type Sink } from '../../../src/host/log.ts';
import { until } from '../../support/member.ts';

const top = join(import.meta.dirname, '../../..');

class Lines implements Sink {
  readonly lines: string[] = [];
  write(line: string): void {
    this.lines.push(line);
  }
  flush(): void {}
  close(): void {}
}

const entries = (sink: Lines): Record<string, unknown>[] => sink.lines.map((l) => JSON.parse(l) as Record<string, unknown>);

describe('a line', () => {
  it('has zap’s keys in zap’s order', () => {
    const sink = new Lines();
    const log = createLog({ level: 'info', format: 'json', sinks: [sink] });
    log.debug('no');
    log.info('hello', { b: 1, a: 'x', id: 0x1fn, error: new Error('why'), list: ['p'], none: undefined });
    log.named('raft').error('bad');
    const [first, second] = entries(sink);
    expect(Object.keys(first!)).toEqual(['level', 'ts', 'caller', 'msg', 'b', 'a', 'id', 'error', 'list', 'none']);
    expect(first).toMatchObject({ level: 'info', msg: 'hello', b: 1, id: '1f', error: 'why', list: ['p'] });
    expect(first!.ts).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d{4})$/);
    expect(first!.caller).toMatch(/^[^/]+\/log\.test\.ts:\d+$/);
    expect(Object.keys(second!)).toEqual(['level', 'ts', 'logger', 'caller', 'msg', 'stacktrace']);
  });

  it('is tab-separated for people', () => {
    const sink = new Lines();
    createLog({ level: 'debug', format: 'console', sinks: [sink] })
      .named('raft')
      .warn('m', { k: 1 });
    expect(sink.lines[0]!.split('\t').slice(1)).toEqual(['warn', 'raft', expect.stringMatching(/log\.test\.ts:\d+$/), 'm', '{"k": 1}\n']);
  });

  it('has the time of etcdutl’s lines when whole seconds are asked for', () => {
    const sink = new Lines();
    createLog({ level: 'info', format: 'console', wholeSeconds: true, sinks: [sink] }).info('m', { 'storage-version': '3.7' });
    expect(sink.lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)\tinfo\t\S+\tm\t\{"storage-version": "3\.7"\}\n$/);
  });

  it('is left out when the same message storms', () => {
    const sink = new Lines();
    const log = createLog({ level: 'info', format: 'json', sinks: [sink] });
    for (let i = 0; i < 1000; i++) log.info('again');
    expect(sink.lines.length).toBeLessThan(220);
    expect(sink.lines.length).toBeGreaterThanOrEqual(100);
  });
});

describe('outputs', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsetcd-log-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  it('write a file, whole when flushed', () => {
    const path = join(dir, 'log');
    const log = createLog({ level: 'info', format: 'json', sinks: [openSink(path)] });
    for (let i = 0; i < 50; i++) log.info(`line ${i}`);
    log.flush();
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.map((l) => (JSON.parse(l) as { msg: string }).msg)).toEqual(Array.from({ length: 50 }, (_, i) => `line ${i}`));
    log.close();
  });

  it('rotate: the full file gets a name of its own, old ones are compressed and removed', async () => {
    const path = join(dir, 'new', 'member.log');
    const rotation = { bytesMax: 2000, daysMax: 0, filesMax: 3, localTime: false, compress: true };
    const log = createLog({ level: 'info', format: 'json', sinks: [openSink(path, rotation)] });
    const old = (): string[] => readdirSync(join(dir, 'new')).filter((n) => n !== 'member.log');
    for (let i = 0; i < 60; i++) {
      log.info(`line ${i}`, { filler: 'x'.repeat(200) });
      await until('the line to be written', () => readFileSync(path, 'utf8').includes(`"line ${i}"`));
    }
    await until('old files to be tidied up', () => old().length === 3 && old().every((n) => n.endsWith('.gz')));
    for (const name of old()) {
      expect(name).toMatch(/^member-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/);
      const text = gunzipSync(readFileSync(join(dir, 'new', name))).toString();
      expect(text.length).toBeLessThanOrEqual(2000);
      for (const line of text.trim().split('\n')) JSON.parse(line);
    }
    expect(readFileSync(path, 'utf8').length).toBeLessThanOrEqual(2000);
    log.close();
  });

  it('change their level while they write', () => {
    const lines: string[] = [];
    const sink = { write: (line: string) => void lines.push(line), flush() {}, close() {} };
    const log = createLog({ level: 'info', format: 'json', sinks: [sink] });
    const named = log.named('raft');
    named.debug('a');
    log.level = 'debug';
    named.debug('b');
    expect(named.debugEnabled).toBe(true);
    log.level = 'error';
    named.warn('c');
    named.error('d');
    expect(lines.map((l) => (JSON.parse(l) as { msg: string }).msg)).toEqual(['b', 'd']);
  });

  it.each(['fifo', 'socket'])('never wait for a %s that nobody reads', async (kind) => {
    const script = join(dir, 'storm.mjs');
    execFileSync(join(top, 'node_modules/.bin/esbuild'), [
      join(top, 'src/host/log.ts'),
      '--bundle',
      '--platform=node',
      '--format=esm',
      `--outfile=${join(dir, 'log.mjs')}`,
      '--log-level=error',
    ]);
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs';
       import { createLog, openSink } from './log.mjs';
       const log = createLog({ level: 'info', format: 'json', sinks: [openSink('stderr')] });
       for (let i = 0; i < 5000; i++) log.info('line ' + i, { pad: 'x'.repeat(1000) });
       writeFileSync(process.argv[2], 'done');
       setTimeout(() => {}, 60000);`,
    );
    const done = join(dir, 'done');
    // Node gives children a socket; a shell gives them a pipe.
    const child =
      kind === 'socket'
        ? spawn(process.execPath, [script, done], { stdio: ['ignore', 'ignore', 'pipe'] })
        : spawn('sh', ['-c', `exec "$0" "$1" "$2" 2>&1 >/dev/null | exec sleep 60`, process.execPath, script, done], {
            stdio: 'ignore',
            detached: true,
          });
    child.stderr?.pause();
    try {
      const end = Date.now() + 20_000;
      while (!existsSync(done) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(existsSync(done)).toBe(true);
    } finally {
      if (kind === 'socket') child.kill('SIGKILL');
      else process.kill(-child.pid!, 'SIGKILL');
    }
  });
});
