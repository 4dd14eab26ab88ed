/** The offline tool's commands. */
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';

export const utilRoot: CommandSpec = { name: '', summary: 'Work on data directories and snapshot files, without a server.', commands: [] };
export const utilFlags: readonly FlagSpec[] = [];
