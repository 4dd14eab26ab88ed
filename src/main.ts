/** The program's entry: which of the four faces is wanted, by the name it was called with and the first argument. Loads only that face. */
import { basename } from 'node:path';

const program = basename(process.argv[1] ?? 'tsetcd').replace(/\.(js|mjs|cjs)$/, '');
const args = process.argv.slice(2);

async function main(): Promise<void> {
  if (program !== 'etcdctl' && program !== 'etcdutl' && (args[0] === 'gateway' || args[0] === 'grpc-proxy')) {
    const { runProxy } = await import('./commands/proxy/run.ts');
    return runProxy(program, args);
  }
  if (program === 'etcd') {
    const { runServer } = await import('./commands/server.ts');
    return runServer(args);
  }
  if (program !== 'etcdctl' && program !== 'etcdutl' && args[0] === 'server') {
    const { runServer } = await import('./commands/server.ts');
    return runServer(args.slice(1));
  }
  const { runControl } = await import('./commands/control.ts');
  return runControl(program, args);
}

await main();
