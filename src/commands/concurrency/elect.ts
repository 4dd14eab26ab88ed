import { KV } from '../../api/gen/methods.ts';
import { Election, observeResponses, Session } from '../../client/concurrency.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import { aborted, stopSignal } from '../frame/signals.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { toBytes } from '../text/quote.ts';

async function listen(inv: Invocation, name: string): Promise<number> {
  const client = await inv.client();
  const stop = stopSignal();
  const prefix = Buffer.concat([toBytes(name), Buffer.from('/')]);
  for await (const { header, kv } of observeResponses(client, prefix, { signal: stop })) {
    inv.print('get', { header, kvs: [kv], more: false, count: 0 });
  }
  return 0;
}

async function campaign(inv: Invocation, name: string, proposal: string): Promise<number> {
  const client = await inv.client();
  const stop = stopSignal();
  const session = await Session.create(client);
  const election = new Election(session, toBytes(name));
  await election.campaign(toBytes(proposal), { signal: stop });
  inv.print('get', await inv.call(KV.range, { key: election.key ?? new Uint8Array(0) }));
  await Promise.race([aborted(stop), aborted(session.lost)]);
  if (!stop.aborted) throw new CommandError(ExitCode.Error, 'elect: session expired');
  await election.resign();
  return 0;
}

export const elect: CommandSpec = {
  name: 'elect',
  args: '<election-name> [proposal]',
  group: 'Concurrency commands',
  summary: 'Take part in an election, or watch one',
  about: [
    'Campaigns with a proposal, prints the key and the proposal once elected, and leads until interrupted. With --listen, prints each leader instead.',
  ],
  examples: [
    { command: 'elect primary host-1', about: 'campaigns as host-1' },
    { command: 'elect --listen primary', about: 'shows who leads' },
  ],
  flags: [{ name: 'listen', short: 'l', type: 'bool', usage: 'only watch: print each leader' }],
  async run(inv) {
    const [name, proposal] = inv.args;
    if (name === undefined || inv.args.length > 2)
      throw badArgs('elect takes one election name argument and an optional proposal argument');
    const listening = inv.flags.bool('listen');
    if (proposal === undefined && !listening) throw badArgs('no proposal argument but -l not set');
    if (proposal !== undefined && listening) throw badArgs('proposal given but -l is set');
    try {
      return await (proposal === undefined ? listen(inv, name) : campaign(inv, name, proposal));
    } catch (error) {
      throw rpcFailure(error);
    }
  },
};
