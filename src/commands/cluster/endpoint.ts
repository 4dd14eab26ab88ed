import { AlarmRequest_AlarmAction as AlarmAction, AlarmType } from '../../api/gen/etcdserverpb.ts';
import { KV, Maintenance } from '../../api/gen/methods.ts';
import { errors, RpcError } from '../../api/status.ts';
import { reasonOf } from '../../client/errors.ts';
import { CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr } from '../frame/output.ts';
import { rpcFailure, rpcText } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import type { EndpointHealth } from '../printers/kinds.ts';
import { clientOf, endpointsToAsk } from './each-endpoint.ts';

/** Read by the health check; need not exist. */
const probeKey = Buffer.from('health');

async function probe(inv: Invocation, endpoint: string): Promise<EndpointHealth> {
  const client = await clientOf(inv, endpoint);
  const began = performance.now();
  const options = { timeoutMs: inv.commandTimeoutMs };
  let error = '';
  try {
    try {
      await client.call(KV.range, { key: probeKey }, options);
    } catch (e) {
      // Refused, and so agreed upon: the cluster works.
      if (!(e instanceof RpcError && reasonOf(e.status) === 'permissionDenied')) throw e;
    }
    error = await alarmsOf(client, options);
  } catch (e) {
    if (!(e instanceof RpcError)) throw e;
    error = rpcText(e);
  }
  const tookMs = performance.now() - began;
  client.close();
  return { endpoint, health: error === '', tookMs, error };
}

async function alarmsOf(client: Awaited<ReturnType<typeof clientOf>>, options: { timeoutMs: number }): Promise<string> {
  try {
    const { alarms } = await client.call(Maintenance.alarm, { action: AlarmAction.GET }, options);
    if (alarms.length === 0) return '';
    const names = alarms.map((a) => {
      if (a.alarm === AlarmType.NOSPACE) return 'NOSPACE ';
      return a.alarm === AlarmType.CORRUPT ? 'CORRUPT ' : 'UNKNOWN ';
    });
    return `Active Alarm(s): ${names.join('')}`;
  } catch (e) {
    if (!(e instanceof RpcError)) throw e;
    return e.message === errors.permissionDenied.message ? '' : `Unable to fetch the alarm list`;
  }
}

const health: CommandSpec = {
  name: 'health',
  args: '',
  summary: 'Check that endpoints can commit',
  about: ['Asks each endpoint for a linearizable read and for alarms, all at once. Fails when one of them is not healthy.'],
  examples: [
    { command: 'endpoint health', about: 'the given endpoints' },
    { command: 'endpoint health --cluster -w table', about: 'all members, as a table' },
  ],
  async run(inv) {
    const endpoints = await endpointsToAsk(inv);
    await inv.printer();
    const list = await Promise.all(endpoints.map((e) => probe(inv, e)));
    inv.print('endpointHealth', list);
    const { format } = await inv.printer();
    if (format === 'simple')
      for (const h of list) if (h.error !== '') stderr(`${h.endpoint} is unhealthy: failed to commit proposal: ${h.error}\n`);
    if (list.some((h) => !h.health)) throw new CommandError(ExitCode.Error, 'unhealthy cluster');
    return 0;
  },
};

const status: CommandSpec = {
  name: 'status',
  args: '',
  summary: 'Show the state of endpoints',
  about: [
    'Shows for each endpoint: member id, version, database size and the part in use, quota, whether it leads or learns, raft term and indexes, alarms, and a downgrade under way.',
  ],
  examples: [
    { command: 'endpoint status -w table', about: 'the given endpoints, as a table' },
    { command: 'endpoint status --cluster -w json', about: 'all members, as JSON' },
  ],
  async run(inv) {
    const endpoints = await endpointsToAsk(inv);
    await inv.printer();
    const list = [];
    let failure: Error | undefined;
    for (const endpoint of endpoints) {
      const client = await clientOf(inv, endpoint);
      try {
        list.push({ endpoint, status: await client.call(Maintenance.status, {}, { timeoutMs: inv.commandTimeoutMs }) });
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        failure = error;
        stderr(`Failed to get the status of endpoint ${endpoint} (${rpcText(error)})\n`);
      }
      client.close();
    }
    inv.print('endpointStatus', list);
    return failure === undefined ? 0 : ExitCode.Error;
  },
};

const hashkv: CommandSpec = {
  name: 'hashkv',
  args: '',
  summary: 'Show a hash of the data of endpoints',
  about: ['Shows for each endpoint a hash over its keys up to a revision. Members with the same history have the same hash.'],
  examples: [
    { command: 'endpoint hashkv --cluster', about: 'all members: the hashes must agree' },
    { command: 'endpoint hashkv --rev=1000', about: 'up to revision 1000' },
  ],
  flags: [{ name: 'rev', type: 'int', usage: 'hash up to this revision; 0 for the latest' }],
  async run(inv) {
    const endpoints = await endpointsToAsk(inv);
    await inv.printer();
    const list = [];
    let failure: Error | undefined;
    for (const endpoint of endpoints) {
      const client = await clientOf(inv, endpoint);
      try {
        const hash = await client.call(Maintenance.hashKV, { revision: inv.flags.int('rev') }, { timeoutMs: inv.commandTimeoutMs });
        list.push({ endpoint, hash });
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        failure = rpcFailure(error);
        stderr(`Failed to get the hash of endpoint ${endpoint} (${rpcText(error)})\n`);
      }
      client.close();
    }
    inv.print('endpointHashKv', list);
    if (failure !== undefined) throw failure;
    return 0;
  },
};

export const endpoint: CommandSpec = {
  name: 'endpoint',
  group: 'Cluster maintenance commands',
  summary: 'Look at endpoints',
  about: ['Health, state and data hash of the given endpoints, or of all members.'],
  persistentFlags: [{ name: 'cluster', type: 'bool', usage: "all members' client URLs instead of --endpoints" }],
  commands: [hashkv, health, status],
};
