import { expect, test } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { applyChange } from '../../../../src/raft/confchange/changer.ts';
import { confStateOf, configProblem, isJoint, type Config } from '../../../../src/raft/confchange/config.ts';
import { restoreConfig } from '../../../../src/raft/confchange/restore.ts';
import { equalConfState } from '../../../../src/raft/conf-state.ts';
import type { ConfChangeV2, ConfState } from '../../../../src/raft/types.ts';
import { confStateWith, voters } from '../support.ts';

const [add, remove, update, learner] = [0, 1, 2, 3];
const [auto, implicit, explicit] = [0, 1, 2];

function config(state: ConfState): Config {
  const { config } = restoreConfig(state);
  if (config === undefined) throw new TypeError('a bad configuration');
  return config;
}

function change(transition: number, ...changes: [number, number][]): ConfChangeV2 {
  return { transition, changes: changes.map(([type, id]) => ({ type, nodeId: BigInt(id) })), context: new Uint8Array(0) };
}

function result(state: ConfState, c: ConfChangeV2): ConfState | string {
  const changed = applyChange(config(state), c);
  return changed.config === undefined ? changed.refused : confStateOf(changed.config);
}

test.each<[string, ConfState, ConfChangeV2, Partial<ConfState>]>([
  ['adds a voter', voters(1), change(auto, [add, 2]), { voters: [1n, 2n] }],
  ['adds it twice', voters(1, 2), change(auto, [add, 2]), { voters: [1n, 2n] }],
  ['adds a learner', voters(1), change(auto, [learner, 2]), { voters: [1n], learners: [2n] }],
  ['promotes', confStateWith({ voters: [1n], learners: [2n] }), change(auto, [add, 2]), { voters: [1n, 2n] }],
  ['demotes', voters(1, 2), change(auto, [learner, 2]), { voters: [1n], learners: [2n] }],
  ['removes', voters(1, 2), change(auto, [remove, 2]), { voters: [1n] }],
  ['removes a learner', confStateWith({ voters: [1n], learners: [2n] }), change(auto, [remove, 2]), { voters: [1n] }],
  ['removes nobody', voters(1), change(auto, [remove, 9]), { voters: [1n] }],
  ['updates nothing', voters(1), change(auto, [update, 1]), { voters: [1n] }],
  ['ignores a refused change', voters(1), change(auto, [add, 0]), { voters: [1n] }],
  [
    'ignores a refused change while joint',
    confStateWith({ voters: [1n], votersOutgoing: [2n] }),
    change(auto, [add, 0]),
    { voters: [1n], votersOutgoing: [2n] },
  ],
  ['the first member', voters(), change(auto, [add, 1]), { voters: [1n] }],
  [
    'several changes are joint',
    voters(1),
    change(auto, [add, 2], [add, 3]),
    { voters: [1n, 2n, 3n], votersOutgoing: [1n], autoLeave: true },
  ],
  ['one change joint by name', voters(1, 2), change(implicit, [remove, 2]), { voters: [1n], votersOutgoing: [1n, 2n], autoLeave: true }],
  ['explicit', voters(1), change(explicit, [add, 2]), { voters: [1n, 2n], votersOutgoing: [1n] }],
  ['a replaced voter', voters(1, 2), change(auto, [add, 3], [remove, 1]), { voters: [2n, 3n], votersOutgoing: [1n, 2n], autoLeave: true }],
  ['a learner to be', voters(1, 2), change(explicit, [learner, 2]), { voters: [1n], votersOutgoing: [1n, 2n], learnersNext: [2n] }],
  [
    'a learner to be, removed first',
    voters(1, 2),
    change(auto, [remove, 2], [learner, 2]),
    { voters: [1n], votersOutgoing: [1n, 2n], learnersNext: [2n], autoLeave: true },
  ],
  [
    'a learner to be, taken back',
    voters(1, 2),
    change(auto, [learner, 2], [add, 2]),
    { voters: [1n, 2n], votersOutgoing: [1n, 2n], autoLeave: true },
  ],
  [
    'leaves',
    confStateWith({ voters: [1n], votersOutgoing: [1n, 2n], learnersNext: [2n], learners: [3n] }),
    change(auto),
    { voters: [1n], learners: [2n, 3n] },
  ],
])('%s', (_name, state, c, expected) => {
  expect(result(state, c)).toEqual(confStateWith(expected));
});

test.each<[string, ConfState, ConfChangeV2]>([
  ['the change would leave no voter', voters(1), change(auto, [remove, 1])],
  ['the change would leave no voter', voters(1), change(auto, [learner, 1])],
  ['the change would leave no voter', voters(), change(auto, [learner, 1])],
  ['not in a joint configuration', voters(1), change(auto)],
  ['already in a joint configuration', confStateWith({ voters: [1n], votersOutgoing: [1n] }), change(explicit, [add, 2])],
  ['already in a joint configuration', confStateWith({ voters: [1n], votersOutgoing: [1n] }), change(explicit)],
  [
    'a simple change needs the joint configuration to be left first',
    confStateWith({ voters: [1n], votersOutgoing: [1n] }),
    change(auto, [add, 2]),
  ],
  ['a configuration without voters cannot become joint', voters(), change(auto, [add, 1], [add, 2])],
  ['unknown kind of change 7', voters(1), change(auto, [7, 1])],
])('refuses: %s', (reason, state, c) => {
  expect(result(state, c)).toBe(reason);
});

test.each<[string, Partial<ConfState>]>([
  ['learner and voter', { voters: [1n], learners: [1n] }],
  ['learner and outgoing voter', { voters: [1n], votersOutgoing: [2n], learners: [2n] }],
  ['learner to be and no outgoing voter', { voters: [1n], votersOutgoing: [1n], learnersNext: [2n] }],
  ['learner to be and incoming voter', { voters: [1n, 2n], votersOutgoing: [2n], learnersNext: [2n] }],
  ['automatic leave and not joint', { voters: [1n], autoLeave: true }],
  ['learners and no voters', { learners: [1n] }],
])('does not restore: %s', (_name, state) => {
  expect(restoreConfig(confStateWith(state)).config).toBeUndefined();
});

/** Every majority of one set meets every majority of the other. */
function alwaysMeet(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): boolean {
  const need = (n: number): number => Math.floor(n / 2) + 1;
  const common = [...a].filter((id) => b.has(id)).length;
  // The two smallest majorities that avoid each other as far as they can.
  const inA = Math.max(0, need(a.size) - (a.size - common));
  const inB = Math.max(0, need(b.size) - (b.size - common));
  return inA + inB > common;
}

test('random changes: configurations stay sound, restore, and their quorums meet', () => {
  const random = new SeededRandom(11);
  for (let round = 0; round < 200; round++) {
    let current = config(voters(1, 2, 3));
    for (let step = 0; step < 60; step++) {
      const changes = Array.from({ length: random.u32() % 4 }, (): [number, number] => [random.u32() % 4, 1 + (random.u32() % 7)]);
      const { config: next } = applyChange(current, change(random.u32() % 3, ...changes));
      if (next === undefined) continue;
      expect(configProblem(next)).toBeUndefined();
      const state = confStateOf(next);
      const { config: again } = restoreConfig(state);
      expect(again !== undefined && equalConfState(confStateOf(again), state)).toBe(true);
      // A joint quorum holds a majority of each half: it is enough that one of the two meets.
      const halves = (c: Config) => (isJoint(c) ? [c.voters, c.votersOutgoing] : [c.voters]);
      expect(halves(current).some((a) => halves(next).some((b) => alwaysMeet(a, b)))).toBe(true);
      current = next;
    }
  }
});
