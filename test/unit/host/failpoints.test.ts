import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FailpointError, Failpoints, failpointServer, loopbackAddress, parseFailpoints, parseTerms } from '../../../src/host/failpoints.ts';

const points = (): Failpoints =>
  new Failpoints({
    names: ['a', 'b'],
    panic: (text) => {
      throw new Error(text);
    },
  });

describe('terms', () => {
  it('are read with their modifiers and values', () => {
    expect(parseTerms('3*sleep("1s")->25%return("a->b")->off')).toEqual([
      { action: 'sleep', value: '1s', left: 3, percent: 100 },
      { action: 'return', value: 'a->b', left: Infinity, percent: 25 },
      { action: 'off', value: undefined, left: Infinity, percent: 100 },
    ]);
  });

  it.each(['', 'nope', 'sleep', 'sleep("soon")', 'return(x)', '1*', 'panic->', 'return("a'])('are refused when they are %j', (text) => {
    expect(() => parseTerms(text)).toThrow(FailpointError);
  });

  it('of several points are split where no text is', () => {
    expect([...parseFailpoints('a=return("x;y");b=2*panic;')]).toEqual([
      ['a', 'return("x;y")'],
      ['b', '2*panic'],
    ]);
    expect(() => parseFailpoints('a')).toThrow(FailpointError);
  });
});

describe('a point', () => {
  it('yields its value, as often as its terms say, and counts', () => {
    const p = points();
    expect(p.hit('a')).toBeUndefined();
    p.enable('a', '2*return("x")->1*return(7)');
    expect([1, 2, 3, 4].map(() => p.hit('a'))).toEqual(['x', 'x', '7', undefined]);
    expect(p.status('a')).toEqual({ terms: '2*return("x")->1*return(7)', count: 4 });
    expect(p.disable('a')).toBe(true);
    expect(p.disable('a')).toBe(false);
    expect(p.hit('a')).toBeUndefined();
  });

  it('panics', () => {
    const p = points();
    p.enable('a', 'panic("text")');
    expect(() => p.hit('a')).toThrow('failpoint panic: text');
  });

  it('holds up what follows, or the whole thread in a synchronous section', async () => {
    const p = points();
    p.enable('a', 'sleep(30)');
    const start = performance.now();
    p.hit('a');
    expect(performance.now() - start).toBeGreaterThan(25);
    let passed = false;
    const later = new Promise<void>((resolve) =>
      p.pass('a', () => {
        passed = true;
        resolve();
      }),
    );
    expect(passed).toBe(false);
    await later;
    p.disable('a');
    passed = false;
    p.pass('a', () => (passed = true));
    expect(passed).toBe(true);
  });

  it('has a name that is known', () => {
    expect(() => points().enable('c', 'panic')).toThrow('"c" does not exist');
  });
});

describe('the HTTP control', () => {
  const p = points();
  const server = failpointServer(p);
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const ask = (method: string, path: string, body = ''): Promise<[number, string]> =>
    new Promise((resolve, reject) => {
      const r = request({ method, path, host: '127.0.0.1', port: (server.address() as AddressInfo).port, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (d: string) => (text += d));
        response.on('end', () => resolve([response.statusCode ?? 0, text]));
      });
      r.on('error', reject);
      r.end(body);
    });

  it('lists, sets, counts and clears', async () => {
    expect(await ask('GET', '/')).toEqual([200, 'a=\nb=\n']);
    expect(await ask('PUT', '/a', 'return("v")')).toEqual([204, '']);
    p.hit('a');
    expect(await ask('GET', '/a')).toEqual([200, 'return("v")\n']);
    expect(await ask('GET', '/a/count')).toEqual([200, '1']);
    expect(await ask('PUT', '/failpoints', 'a=off;b=sleep(1)')).toEqual([204, '']);
    expect(await ask('GET', '/')).toEqual([200, 'a=off\nb=sleep(1)\n']);
    expect(await ask('DELETE', '/a')).toEqual([204, '']);
    expect((await ask('DELETE', '/a'))[0]).toBe(400);
    expect((await ask('GET', '/a'))[0]).toBe(404);
    expect((await ask('GET', '/c'))[0]).toBe(404);
    expect((await ask('PUT', '/a', 'bogus'))[0]).toBe(400);
    expect((await ask('PUT', '/c', 'panic'))[0]).toBe(400);
    expect((await ask('POST', '/a', 'panic'))[0]).toBe(405);
  });

  it('is for this machine alone', () => {
    expect(loopbackAddress('127.0.0.1:22381')).toEqual({ host: '127.0.0.1', port: 22381 });
    expect(loopbackAddress('[::1]:1')).toEqual({ host: '::1', port: 1 });
    for (const bad of ['0.0.0.0:1', ':1', '10.0.0.1:1', 'example.org:1', '127.0.0.1'])
      expect(() => loopbackAddress(bad)).toThrow('loopback');
  });
});
