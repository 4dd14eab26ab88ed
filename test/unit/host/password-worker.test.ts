// The real worker: needs `npm run build`, as every test that starts a thread does.
import { compareSync } from 'bcryptjs';
import { afterEach, describe, expect, it } from 'vitest';
import { PasswordWorker, type PasswordFailure } from '../../../src/host/password-worker.ts';

let worker: PasswordWorker | undefined;
afterEach(() => {
  worker?.close();
});
const make = (queueMax?: number): PasswordWorker => (worker = new PasswordWorker(queueMax === undefined ? {} : { queueMax }));
const hash = (w: PasswordWorker, password: string, cost = 4): Promise<{ failure: PasswordFailure | undefined; hash: string }> =>
  new Promise((done) => {
    w.hash(password, cost, (failure, made) => {
      done({ failure, hash: made });
    });
  });
const compare = (w: PasswordWorker, password: string, made: string): Promise<boolean> =>
  new Promise((done) => {
    w.compare(password, made, (_, matches) => {
      done(matches);
    });
  });

describe('the bcrypt worker', () => {
  it('makes hashes in Go’s form and knows them again', async () => {
    const w = make();
    const made = await hash(w, 'pässword');
    expect(made.hash).toMatch(/^\$2a\$04\$.{53}$/);
    expect(compareSync('pässword', made.hash)).toBe(true);
    expect(await compare(w, 'pässword', made.hash)).toBe(true);
    expect(await compare(w, 'other', made.hash)).toBe(false);
    expect((await hash(w, 'pässword')).hash).not.toBe(made.hash);
  });

  it('S-090: knows hashes that Go’s library made', async () => {
    const w = make();
    const byEtcd = '$2a$10$yE/jr55U2ezL2Aj9PMncpe/jOtuQpm5rhJSDFrT8ZETaKfOCYrZ8q';
    expect(await compare(w, 'x', byEtcd)).toBe(true);
    expect(await compare(w, 'y', byEtcd)).toBe(false);
    expect(await compare(w, 'anything', 'not a hash')).toBe(false);
  });

  it('S-090: refuses what bcrypt would cut', async () => {
    const w = make();
    expect((await hash(w, 'x'.repeat(72))).failure).toBeUndefined();
    expect((await hash(w, 'x'.repeat(73))).failure).toBe('too-long');
  });

  it('S-091: turns away at once what does not fit the queue', async () => {
    const w = make(2);
    const running = [hash(w, 'a'), hash(w, 'b')];
    const refused = await hash(w, 'c');
    expect(refused.failure).toBe('busy');
    expect((await Promise.all(running)).map((r) => r.failure)).toEqual([undefined, undefined]);
    expect((await hash(w, 'd')).failure).toBeUndefined();
    expect(w.stats).toEqual({ served: 3, refused: 1 });
  });

  it('fails what it had when it is closed', async () => {
    const w = make();
    const running = hash(w, 'a', 12);
    w.close();
    expect((await running).failure).toBe('stopped');
    expect((await hash(w, 'b')).failure).toBe('stopped');
  });
});
