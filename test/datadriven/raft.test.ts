// Every transcript in testdata/ plays as it is recorded. DATADRIVEN_RECORD=1 records anew.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { RaftStateError } from '../../src/raft/recovery.ts';
import { Stage } from './stage.ts';
import { playTranscript, type Command } from './transcript.ts';
import { campaign, conf, forget, jitter, propose, read, reportSnapshot, reportUnreachable, tick, transfer } from './verbs/ask.ts';
import { deliver, drop, network } from './verbs/deliver.ts';
import { members } from './verbs/members.ts';
import { message } from './verbs/message.ts';
import { commit, vote } from './verbs/quorum.ts';
import { elect, settle } from './verbs/settle.ts';
import { log, status } from './verbs/show.ts';
import { apply, commitLost, compact, crash, ready, restart, saved, sync } from './verbs/storage.ts';

type Verb = (stage: Stage, command: Command) => void;

const verbs: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  ...Object.entries({
    apply,
    campaign,
    commit,
    compact,
    conf,
    crash,
    deliver,
    drop,
    elect,
    forget,
    jitter,
    log,
    members,
    message,
    network,
    propose,
  }),
  ...Object.entries({ read, ready, restart, saved, settle, status, sync, tick, transfer, vote }),
  ['commit-lost', commitLost],
  ['report-snapshot', reportSnapshot],
  ['report-unreachable', reportUnreachable],
]);

const folder = fileURLToPath(new URL('testdata/', import.meta.url));

test.each(readdirSync(folder).filter((name) => name.endsWith('.txt')))('%s', (name) => {
  const stage = new Stage();
  const { recorded, played } = playTranscript(folder + name, (command) => {
    const verb = verbs.get(command.verb);
    if (verb === undefined) throw new RangeError(`${name}: no verb ${command.verb}`);
    try {
      verb(stage, command);
    } catch (error) {
      if (!(error instanceof RaftStateError)) throw error;
      stage.say(`refused: ${error.message}`);
    }
    return stage.takeLines().join('\n');
  });
  expect(played).toBe(recorded);
});
