import { Maintenance } from '../../api/gen/methods.ts';
import { RpcError } from '../../api/status.ts';
import { ExitCode } from '../frame/exit.ts';
import { stderr, stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import { rpcText } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import { formatDuration } from '../text/go-numbers.ts';
import { clientOf, endpointsToAsk } from './each-endpoint.ts';

export const defrag: CommandSpec = {
  name: 'defrag',
  args: '',
  group: 'Cluster maintenance commands',
  summary: 'Give back unused space of the database',
  about: ['Rewrites the database of each endpoint, one after the other, so that space freed by compaction goes back to the file system.'],
  examples: [
    { command: 'defrag', about: 'the given endpoints' },
    { command: 'defrag --cluster', about: 'all members, one after the other' },
  ],
  flags: [{ name: 'cluster', type: 'bool', usage: "all members' client URLs instead of --endpoints" }],
  async run(inv) {
    let failures = 0;
    for (const endpoint of await endpointsToAsk(inv)) {
      const client = await clientOf(inv, endpoint);
      const meter = await progress(inv, `defrag ${endpoint}`);
      const size = async (): Promise<number> => (await client.call(Maintenance.status, {}, { timeoutMs: inv.commandTimeoutMs })).dbSize;
      const began = performance.now();
      try {
        const before = meter.shown ? await size() : 0;
        if (meter.shown) meter.say(`defrag ${endpoint}: ${humanBytes(before)}`);
        await client.call(Maintenance.defragment, {}, { timeoutMs: inv.commandTimeoutMs });
        const after = meter.shown ? await size() : 0;
        meter.end();
        if (meter.shown) stderr(`${endpoint}: ${humanBytes(before)} before, ${humanBytes(after)} now\n`);
        stdout(`Finished defragmenting etcd member[${endpoint}]. took ${formatDuration(performance.now() - began)}\n`);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        failures++;
        meter.end();
        stderr(`Failed to defragment etcd member[${endpoint}]. took ${formatDuration(performance.now() - began)}. (${rpcText(error)})\n`);
      }
      client.close();
    }
    return failures === 0 ? 0 : ExitCode.Error;
  },
};
