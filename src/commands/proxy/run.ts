/** `tsetcd gateway` and `tsetcd grpc-proxy`, also through a link named `etcd`. */
import type { CommandSpec } from '../frame/spec.ts';
import type { Invocation } from '../frame/invocation.ts';
import { runTree } from '../frame/run.ts';
import { proxyRoot } from './tree.ts';

/** Runs one command line; a proxy that started runs until a signal, everything else ends the process. */
export async function runProxy(program: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const own = program !== 'etcd';
  const root = withRuns(proxyRoot, {
    gateway: async (inv) => (await import('./gateway-start.ts')).startGateway(inv),
    'grpc-proxy': async (inv) => (await import('./grpc-proxy-start.ts')).startGrpcProxy(inv),
  });
  const code = await runTree({ program, root: own ? root : withoutOwn(root), globals: [], env }, argv);
  // A proxy that serves answers with no code before its end.
  process.exit(code);
}

type Run = (inv: Invocation) => Promise<number>;

function withRuns(root: CommandSpec, runs: Readonly<Record<string, Run>>): CommandSpec {
  const commands = (root.commands ?? []).map((c) => {
    const run = runs[c.name];
    return { ...c, commands: (c.commands ?? []).map((sub) => (run === undefined ? sub : { ...sub, run })) };
  });
  return { ...root, commands };
}

/** A real etcd knows the commands, and not the flags of ours. */
function withoutOwn(root: CommandSpec): CommandSpec {
  const prune = (spec: CommandSpec): CommandSpec => ({
    ...spec,
    ...(spec.flags === undefined ? {} : { flags: spec.flags.filter((f) => f.own !== true) }),
    ...(spec.commands === undefined ? {} : { commands: spec.commands.map(prune) }),
  });
  return prune(root);
}
