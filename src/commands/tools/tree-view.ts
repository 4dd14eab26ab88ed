import { badArgs } from '../frame/exit.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { prefixRange } from '../kv/keys.ts';
import { rangeParts } from '../kv/range-parts.ts';
import { printable, toBytes } from '../text/quote.ts';

interface Node {
  readonly children: Map<string, Node>;
  /** Keys below and at this place. */
  keys: number;
  isKey: boolean;
}

const empty = (): Node => ({ children: new Map(), keys: 0, isKey: false });

export const tree: CommandSpec = {
  name: 'tree',
  args: '[prefix]',
  group: 'Key-value commands',
  own: true,
  summary: 'Show keys as a tree',
  about: ['Shows the keys below a prefix, or all of them, as a tree of their parts between slashes, with the number of keys below each.'],
  examples: [
    { command: 'tree config/', about: 'what lies below config/' },
    { command: 'tree --depth=1', about: 'only the first level' },
  ],
  flags: [{ name: 'depth', type: 'int', usage: 'show so many levels; 0 for all' }],
  complete: ['keys'],
  async run(inv) {
    if (inv.args.length > 1) throw badArgs('tree command accepts at most one prefix');
    const prefix = toBytes(inv.args[0] ?? '');
    const client = await inv.client();
    const top = empty();
    try {
      for await (const { kvs } of rangeParts({ client, timeoutMs: inv.commandTimeoutMs }, { ...prefixRange(prefix), keysOnly: true }))
        for (const kv of kvs) insert(top, printable(kv.key.subarray(prefix.length)));
    } catch (error) {
      throw rpcFailure(error);
    }
    const lines = [`${inv.args[0] ?? '/'} (${top.keys})\n`];
    draw(top, '', 1, inv.flags.int('depth'), lines);
    inv.page(lines.join(''));
    return 0;
  },
};

function insert(top: Node, key: string): void {
  let at = top;
  at.keys++;
  for (const part of key.split(/(?<=\/)/)) {
    let next = at.children.get(part);
    if (next === undefined) at.children.set(part, (next = empty()));
    next.keys++;
    at = next;
  }
  at.isKey = true;
}

function draw(node: Node, indent: string, level: number, depth: number, lines: string[]): void {
  if (depth > 0 && level > depth) return;
  const children = [...node.children];
  children.forEach(([name, child], i) => {
    const last = i === children.length - 1;
    lines.push(`${indent}${last ? '└── ' : '├── '}${name}${child.children.size > 0 ? ` (${child.keys})` : ''}\n`);
    draw(child, `${indent}${last ? '    ' : '│   '}`, level + 1, depth, lines);
  });
}
