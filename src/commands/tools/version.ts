import { stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';

/** The release whose behaviour this is, and the API it speaks. */
export const release = '3.7.1';
export const apiVersion = '3.7';

export const version: CommandSpec = {
  name: 'version',
  args: '',
  group: 'Utility commands',
  summary: 'Print the versions of the program and of the API',
  about: ['Prints which release of etcd this program behaves as, and the version of the API.'],
  examples: [
    { command: 'version', about: 'both versions' },
    { command: 'version | head -1', about: 'the first alone' },
  ],
  run(inv) {
    // `tsetcd util` is the program tsetcd.
    stdout(`${inv.program.replace(/ util$/, '')} version: ${release}\nAPI version: ${apiVersion}\n`);
    return 0;
  },
};
