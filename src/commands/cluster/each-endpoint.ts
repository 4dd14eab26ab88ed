/** Commands that talk to every endpoint by itself, or to every member of the cluster. */
import { Cluster } from '../../api/gen/methods.ts';
import { Client } from '../../client/client.ts';
import type { ClientOptions } from '../../client/options.ts';
import { CommandError, ExitCode } from '../frame/exit.ts';
import { clientOptions, endpointsOf, nowhere } from '../frame/client-options.ts';
import type { Invocation } from '../frame/invocation.ts';

/** The endpoints to ask: those given, or with `--cluster` the client URLs of all members. @throws CommandError */
export async function endpointsToAsk(inv: Invocation): Promise<readonly string[]> {
  inv.settle();
  if (!inv.flags.bool('cluster')) return endpointsOf(inv.flags);
  try {
    const { members } = await inv.call(Cluster.memberList, { linearizable: true });
    return members.flatMap((m) => m.clientURLs);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(ExitCode.Error, `failed to fetch endpoints from etcd cluster member list: ${error.message}`, {
      cause: error.cause,
    });
  }
}

/** A client of one endpoint, with the command's other settings. */
export async function clientOf(inv: Invocation, endpoint: string): Promise<Client> {
  const options: ClientOptions = await clientOptions(inv.flags);
  return new Client({ ...options, endpoints: [endpoint === '' ? nowhere : endpoint] });
}
