// Every recorded command line of etcd's own tools, against our program as client, offline tool and server.
import { afterAll, describe, expect, it } from 'vitest';
import { areas } from './corpus.ts';
import { ourPrograms, Replayer } from './replay.ts';

/** About a minute each: with TSETCD_SLOW=1. */
const slowToo = process.env['TSETCD_SLOW'] === '1';

describe('command line, as recorded', { timeout: 300_000 }, () => {
  const replayer = new Replayer(ourPrograms);
  afterAll(() => replayer.close());
  for (const { area, scenarios } of areas())
    for (const scenario of scenarios) {
      const name = `${area}/${scenario.name}`;
      if (scenario.slow === true && !slowToo) continue;
      it.concurrent(name, async () => {
        expect(await replayer.replay(scenario)).toEqual([]);
      });
    }
});
