/** One command being run: its arguments, its flags, and a client and printer made from them when first asked for. */
import type { MethodDef } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { Client } from '../../client/client.ts';
import type { CallOptions } from '../../wire/channel.ts';
import type { Kind, Kinds } from '../printers/kinds.ts';
import { makePrinter, type Printer } from '../printers/printer.ts';
import { applyEnvironment, variableOf } from './environment.ts';
import { clientOptions } from './client-options.ts';
import { rpcFailure } from './rpc-failure.ts';
import type { Flags } from './flags.ts';
import { stderr } from './output.ts';
import { page, pagerOf } from './pager.ts';
import type { CommandPath, CommandSpec, FlagSpec } from './spec.ts';

export interface Surroundings {
  /** What the program was called by: `tsetcd`, `etcdctl`. */
  readonly program: string;
  readonly root: CommandSpec;
  readonly globals: readonly FlagSpec[];
  readonly env: NodeJS.ProcessEnv;
  /** A shell's: commands that change nothing of the connection use it. */
  readonly client?: Client;
}

/** Flags that ask for a connection of one's own. */
const connectionFlags = ['endpoints', 'user', 'password', 'auth-jwt-token', 'cacert', 'cert', 'key', 'discovery-srv'];

export class Invocation {
  readonly around: Surroundings;
  readonly path: CommandPath;
  readonly flags: Flags;
  /** Positional arguments. */
  readonly args: readonly string[];
  #settled = false;
  #client: Client | undefined;
  #printer: Printer | undefined;

  constructor(around: Surroundings, path: CommandPath, flags: Flags) {
    this.around = around;
    this.path = path;
    this.flags = flags;
    this.args = flags.args;
  }

  get program(): string {
    return this.around.program;
  }

  /** Whether the program goes by its own name: under etcd's it does nothing but what etcd's tools do. */
  get own(): boolean {
    return this.program !== 'etcdctl' && this.program !== 'etcdutl';
  }

  /** Takes the environment into the flags; runs once, after the arguments were found good, as etcdctl does. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    const inherited = [...this.path.parents.flatMap((p) => p.persistentFlags ?? []), ...this.around.globals];
    applyEnvironment(this.flags, inherited, this.around.env, stderr);
    if (this.flags.bool('debug'))
      for (const spec of [...inherited].sort((a, b) => (a.name < b.name ? -1 : 1)))
        stderr(
          `${variableOf(spec.name)}=${spec.type === 'strings' ? `[${this.flags.strings(spec.name).join(' ')}]` : this.#flagText(spec)}\n`,
        );
  }

  #flagText(spec: FlagSpec): string {
    switch (spec.type) {
      case 'bool':
        return String(this.flags.bool(spec.name));
      case 'int':
      case 'uint':
        return String(this.flags.bigint(spec.name));
      case 'duration':
        return `${this.flags.duration(spec.name)}ms`;
      case 'strings':
        return this.flags.strings(spec.name).join(',');
      case 'string':
        return spec.name === 'password' ? '***' : this.flags.string(spec.name);
    }
  }

  /** The client of this command; the program ends with it, so nobody closes it. @throws CommandError */
  async client(): Promise<Client> {
    if (this.#client === undefined) {
      this.settle();
      const { client: shared } = this.around;
      if (shared !== undefined && !connectionFlags.some((f) => this.flags.given(f) && this.around.env[variableOf(f)] === undefined)) {
        await this.printer();
        return (this.#client = shared);
      }
      const options = await clientOptions(this.flags);
      // The output format is looked at as soon as the client is set up: before anything is sent.
      await this.printer();
      this.#client = new Client(options);
      await this.#login(this.#client, options.username !== undefined);
    }
    return this.#client;
  }

  /** @throws CommandError for an unknown format. */
  async printer(): Promise<Printer> {
    this.settle();
    this.#printer ??= await makePrinter(this.flags, (text) => this.page(text));
    return this.#printer;
  }

  /** Prints a text that may be long: on a terminal through the pager. */
  page(text: string): void {
    const { env } = this.around;
    page(text, pagerOf({ env, wanted: this.own && !this.flags.bool('no-pager') && this.around.client === undefined }), env);
  }

  /** Prints an answer in the wanted format. Only after `client` or `printer`. @throws CommandError when the format has no such thing. */
  print<K extends Kind>(kind: K, value: Kinds[K]): void {
    if (this.#printer === undefined) throw new TypeError('no printer yet');
    this.#printer.print(kind, value);
  }

  async #login(client: Client, wanted: boolean): Promise<void> {
    if (!wanted) return;
    try {
      await client.connection.login(this.flags.duration('dial-timeout') + this.commandTimeoutMs);
    } catch (error) {
      throw rpcFailure(error, 2);
    }
  }

  /** Milliseconds; at most 0 when already over. */
  get commandTimeoutMs(): number {
    return this.flags.duration('command-timeout');
  }

  /** A call within `--command-timeout`. @throws CommandError with exit code 1. */
  async call<Req, Res>(
    method: MethodDef<Req, Res>,
    request: Init<Req>,
    options: CallOptions & { readonly exit?: number } = {},
  ): Promise<Res> {
    const client = await this.client();
    try {
      return await client.call(method, request, { timeoutMs: this.commandTimeoutMs, ...options });
    } catch (error) {
      throw rpcFailure(error, options.exit);
    }
  }
}
