/** What serves: a member, the TCP gateway, the gRPC proxy. Loads only the one that is wanted; `bin/tsetcd` starts it. */

/**
 * @param program  the name that it was called with, without a folder
 * @param args  the command line behind the program
 */
export async function serve(program: string, args: readonly string[]): Promise<void> {
  if (args[0] === 'gateway' || args[0] === 'grpc-proxy') {
    const { runProxy } = await import('./commands/proxy/run.ts');
    return runProxy(program, args);
  }
  const { runServer } = await import('./commands/server.ts');
  return program === 'etcd' ? runServer('etcd', args) : runServer('tsetcd server', args.slice(1));
}
