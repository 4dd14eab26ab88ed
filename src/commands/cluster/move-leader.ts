import { Maintenance } from '../../api/gen/methods.ts';
import type { StatusResponse } from '../../api/gen/etcdserverpb.ts';
import { RpcError } from '../../api/status.ts';
import { badArgs } from '../frame/exit.ts';
import { clientOptions } from '../frame/client-options.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { hexId } from '../printers/simple.ts';
import { NumberError, parseUint64 } from '../text/go-numbers.ts';
import { clientOf } from './each-endpoint.ts';

export const moveLeader: CommandSpec = {
  name: 'move-leader',
  args: '<memberID>',
  group: 'Cluster maintenance commands',
  summary: 'Hand the leadership to another member',
  about: ['Has the leader, which must be among the given endpoints, hand its place to another voter.'],
  examples: [
    { command: 'move-leader 91bc3c398fb3c146', about: 'to the member of this id' },
    { command: 'move-leader 91bc3c398fb3c146 --endpoints=a:2379,b:2379,c:2379', about: 'finding the leader among three' },
  ],
  complete: ['members'],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('move-leader command needs 1 argument');
    let target: bigint;
    try {
      target = parseUint64(text, 16);
    } catch (error) {
      if (error instanceof NumberError) throw badArgs(error.message);
      throw error;
    }
    inv.settle();
    const { endpoints } = await clientOptions(inv.flags);
    await inv.printer();
    const options = { timeoutMs: inv.commandTimeoutMs };
    for (const endpoint of endpoints) {
      const client = await clientOf(inv, endpoint);
      let status: StatusResponse;
      try {
        status = await client.call(Maintenance.status, {}, options);
        if (status.header?.memberId !== status.leader) {
          client.close();
          continue;
        }
        const response = await client.call(Maintenance.moveLeader, { targetID: target }, options);
        inv.print('moveLeader', { words: `Leadership transferred from ${hexId(status.leader)} to ${hexId(target)}`, response });
        return 0;
      } catch (error) {
        if (error instanceof RpcError) throw rpcFailure(error);
        throw error;
      }
    }
    throw badArgs(`no leader endpoint given at [${endpoints.join(' ')}]`);
  },
};
