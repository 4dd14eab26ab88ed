// Every recorded command line of etcd's own tools, against our program as client, offline tool and server.
import { afterAll, describe, expect, it } from 'vitest';
import { areas } from './corpus.ts';
import { ourPrograms, Replayer } from './replay.ts';

/** Scenarios that are not due yet, by `area/name`, with what they wait for. This list only ever gets shorter. */
const notDue: Readonly<Record<string, string>> = {
  'auth/admin-commands': 'the server answers NOSPACE to a write by a user',
  'check-mirror/mirror-destination-user': 'the server answers NOSPACE to a write by a user',
  'restart/users-and-alarm-free': 'the server answers NOSPACE to a write by a user',
  'user-role/root-role': "the server's role root has no range of its own yet",
  'cluster/one-member-down': 'a member of several that starts again',
  'cluster/remove-and-add': 'a member that joins a running cluster',
};

/** About a minute each: with TSETCD_SLOW=1. */
const slowToo = process.env['TSETCD_SLOW'] === '1';

describe('command line, as recorded', { timeout: 300_000 }, () => {
  const replayer = new Replayer(ourPrograms);
  afterAll(() => replayer.close());
  const known = new Set<string>();
  for (const { area, scenarios } of areas())
    for (const scenario of scenarios) {
      const name = `${area}/${scenario.name}`;
      known.add(name);
      if (notDue[name] !== undefined || (scenario.slow === true && !slowToo)) continue;
      it.concurrent(name, async () => {
        expect(await replayer.replay(scenario)).toEqual([]);
      });
    }

  it('has no stale entry in the list of what is not due', () => {
    for (const name of Object.keys(notDue)) expect(known).toContain(name);
  });
});
