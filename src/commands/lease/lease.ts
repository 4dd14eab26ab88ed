import { Lease } from '../../api/gen/methods.ts';
import { errors, RpcError } from '../../api/status.ts';
import { EtcdError, LeaseExpiredError } from '../../client/errors.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import { rpcFailure, rpcText } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { hex16 } from '../printers/simple.ts';
import { printable } from '../text/quote.ts';
import { counter, NumberError, parseInt64 } from '../text/go-numbers.ts';

/** Keys that are named before they go. */
const shownMax = 20;

/** @throws CommandError */
export function leaseIdOf(text: string): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    if (error instanceof NumberError) throw badArgs(`bad lease ID arg (${error.message}), expecting ID in Hex`);
    throw error;
  }
}

/** Runs a call; its failure is told behind what was tried. */
async function tried<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof CommandError && error.cause instanceof RpcError)
      throw new CommandError(ExitCode.Error, `failed to ${what} lease (${error.message})`, { cause: error.cause });
    throw error;
  }
}

const grant: CommandSpec = {
  name: 'grant',
  args: '<ttl>',
  summary: 'Make a lease',
  about: ['Makes a lease that expires after so many seconds unless it is renewed; keys put under it go with it.'],
  examples: [
    { command: 'lease grant 60', about: 'a lease of one minute' },
    { command: 'lease grant 3600 -w json', about: 'its id as JSON' },
  ],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('lease grant command needs TTL argument');
    let ttl: bigint;
    try {
      ttl = parseInt64(text, 10);
    } catch (error) {
      if (error instanceof NumberError) throw badArgs(`bad TTL (${error.message})`);
      throw error;
    }
    inv.print('grant', await tried('grant', inv.call(Lease.leaseGrant, { TTL: counter(ttl) })));
    return 0;
  },
};

const revoke: CommandSpec = {
  name: 'revoke',
  args: '<leaseID>',
  summary: 'End a lease and delete its keys',
  about: ['Ends a lease now; the keys attached to it are deleted in the same revision.'],
  examples: [
    { command: 'lease revoke 694d81417acd4754', about: 'ends the lease' },
    { command: 'lease revoke 694d81417acd4754 --dry-run', about: 'only shows which keys would go' },
  ],
  flags: [...guardFlags],
  complete: ['leases'],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('lease revoke command needs 1 argument');
    const id = leaseIdOf(text);
    const look = async (): Promise<Outlook> => {
      const { keys } = await inv.call(Lease.leaseTimeToLive, { ID: id, keys: true });
      const deed = `end lease ${hex16(id)} and delete its ${keys.length} keys`;
      return { deed, items: keys.slice(0, shownMax).map(printable), more: Math.max(0, keys.length - shownMax) };
    };
    if (!(await mayProceed(inv, look))) return 0;
    inv.print('revoke', { id, response: await tried('revoke', inv.call(Lease.leaseRevoke, { ID: id })) });
    return 0;
  },
};

const timeToLive: CommandSpec = {
  name: 'timetolive',
  args: '<leaseID>',
  summary: 'Show how long a lease still lives',
  about: ['Shows the TTL that was granted and what remains of it; with --keys, the keys attached to the lease too.'],
  examples: [
    { command: 'lease timetolive 694d81417acd4754', about: 'granted and remaining seconds' },
    { command: 'lease timetolive 694d81417acd4754 --keys', about: 'and the attached keys' },
  ],
  flags: [{ name: 'keys', type: 'bool', usage: 'also show the keys attached to the lease' }],
  complete: ['leases'],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('lease timetolive command needs lease ID as argument');
    const keys = inv.flags.bool('keys');
    const response = await inv.call(Lease.leaseTimeToLive, { ID: leaseIdOf(text), keys }, { exit: ExitCode.BadConnection });
    inv.print('timeToLive', { response, keys });
    return 0;
  },
};

const list: CommandSpec = {
  name: 'list',
  args: '',
  summary: 'List the leases that are alive',
  about: ['Lists the ids of all leases that are alive.'],
  examples: [
    { command: 'lease list', about: 'one id a line' },
    { command: 'lease list -w json', about: 'as JSON' },
  ],
  async run(inv) {
    inv.print('leases', await inv.call(Lease.leaseLeases, {}, { exit: ExitCode.BadConnection }));
    return 0;
  },
};

async function renewOnce(inv: Invocation, id: bigint): Promise<number> {
  const client = await inv.client();
  try {
    inv.print('keepAlive', await client.keepLeaseOnce(id, { timeoutMs: inv.commandTimeoutMs }));
    return 0;
  } catch (error) {
    if (error instanceof LeaseExpiredError) throw new CommandError(ExitCode.BadConnection, errors.leaseNotFound.message);
    throw rpcFailure(error, ExitCode.BadConnection);
  }
}

const keepAlive: CommandSpec = {
  name: 'keep-alive',
  args: '<leaseID>',
  summary: 'Renew a lease again and again',
  about: ['Renews a lease each time a third of its TTL has passed, until interrupted or until the lease is gone.'],
  examples: [
    { command: 'lease keep-alive 694d81417acd4754', about: 'until interrupted' },
    { command: 'lease keep-alive --once 694d81417acd4754', about: 'one renewal' },
  ],
  flags: [{ name: 'once', type: 'bool', usage: 'renew one time and end' }],
  complete: ['leases'],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('lease keep-alive command needs lease ID as argument');
    const id = leaseIdOf(text);
    if (inv.flags.bool('once')) return renewOnce(inv, id);
    const client = await inv.client();
    // Until the first answer nothing is known of the TTL: as patient as a short command.
    const kept = client.keepLease(id, Math.max(1, inv.commandTimeoutMs / 1000));
    kept.onRenewed = (r) => inv.print('keepAlive', r);
    await new Promise<void>((resolve, reject) => {
      kept.onLost = (error) =>
        error.cause instanceof EtcdError ? reject(new CommandError(ExitCode.BadConnection, rpcText(error.cause))) : resolve();
    });
    stdout(`lease ${hex16(id)} expired or revoked.\n`);
    return 0;
  },
};

export const lease: CommandSpec = {
  name: 'lease',
  group: 'Key-value commands',
  summary: 'Make, renew, list and end leases',
  about: ['A lease is a promise to come back in time: keys attached to one are deleted when it expires.'],
  commands: [grant, keepAlive, list, revoke, timeToLive],
};
