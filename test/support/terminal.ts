/** A program on a pseudo-terminal, driven as a person would: through `script` of util-linux, which every Debian has. */
import { spawn, type ChildProcess } from 'node:child_process';
import { until } from './member.ts';

const shellWord = (w: string): string => `'${w.replaceAll("'", "'\\''")}'`;

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Lines of the screen; default 24. */
  readonly rows?: number;
}

export class Terminal {
  readonly #child: ChildProcess;
  #text = '';
  #seen = 0;
  /** The program's exit code. */
  readonly exit: Promise<number | null>;

  constructor(words: readonly string[], options: TerminalOptions = {}) {
    const command = `stty rows ${options.rows ?? 24} cols 100; exec ${words.map(shellWord).join(' ')}`;
    const env: NodeJS.ProcessEnv = { ...process.env, TERM: 'xterm', SHELL: '/bin/sh', ...options.env };
    // What would say that nobody looks.
    for (const name of ['CI', 'NO_COLOR', 'FORCE_COLOR', 'PAGER']) if (options.env?.[name] === undefined) delete env[name];
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], { env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (d: string) => (this.#text += d));
    this.#child.stderr?.setEncoding('utf8').on('data', (d: string) => (this.#text += d));
    this.#child.stdin?.on('error', () => undefined);
    this.exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => resolve(code));
    });
  }

  /** All that was on the screen so far, control sequences and all. */
  get text(): string {
    return this.#text;
  }

  /** Waits for a text behind what was waited for last. */
  async see(what: string): Promise<void> {
    try {
      await until(JSON.stringify(what), () => this.#text.indexOf(what, this.#seen) >= 0);
    } catch (error) {
      throw new Error(`${(error as Error).message}; on the screen: ${JSON.stringify(this.#text.slice(this.#seen))}`, { cause: error });
    }
    this.#seen = this.#text.indexOf(what, this.#seen) + what.length;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
