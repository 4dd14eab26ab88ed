/** From the ConfState of a snapshot back to a configuration. */
import type { ConfState } from '../types.ts';
import type { Changed } from './changer.ts';
import { configProblem, type Config } from './config.ts';

/** Refuses what no sequence of changes could have made. */
export function restoreConfig(state: ConfState): Changed {
  const config: Config = {
    voters: new Set(state.voters),
    votersOutgoing: new Set(state.votersOutgoing),
    learners: new Set(state.learners),
    learnersNext: new Set(state.learnersNext),
    autoLeave: state.autoLeave,
  };
  const problem = configProblem(config);
  return problem === undefined ? { config, refused: undefined } : { config: undefined, refused: problem };
}
