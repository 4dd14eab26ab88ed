// Turns an area's recordings into tests: one server a scenario.
import { describe, it } from 'vitest';
import { loadArea } from './corpus.ts';
import { replay } from './replay.ts';
import { startServer } from './targets.ts';

/** Names a scenario (or part of one) to run alone. */
const only = process.env['TSETCD_ONLY'] ?? '';

/** @param options.waits  scenarios spend their time waiting, so that several at once are faster; not for what counts seconds while it works */
export function replayArea(name: string, options: { readonly waits: boolean }): void {
  const area = loadArea(name);
  const group = options.waits ? describe.concurrent : describe;
  group(`${name}: ${area.about}`, () => {
    for (const scenario of area.scenarios) {
      if (!scenario.name.includes(only)) continue;
      it(scenario.name, async () => {
        const server = await startServer(scenario.args);
        try {
          await replay(scenario, server);
        } catch (e) {
          throw new Error(`${e instanceof Error ? e.message : String(e)}\n${server.logTail()}`, { cause: e });
        } finally {
          await server.stop();
        }
      });
    }
  });
}
