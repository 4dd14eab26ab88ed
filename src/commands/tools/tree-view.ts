import { KV } from '../../api/gen/methods.ts';
import { prefixEnd, utf8Text } from '../../base/bytes.ts';
import { badArgs } from '../frame/exit.ts';
import { Collected } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { toBytes } from '../text/quote.ts';

/** Keys of one read. */
const pageKeys = 10_000;

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
    const rangeEnd = prefix.length === 0 ? new Uint8Array(1) : prefixEnd(prefix);
    let key: Uint8Array = prefix.length === 0 ? new Uint8Array(1) : prefix;
    const top = empty();
    for (let revision = 0; ;) {
      const page = await inv.call(KV.range, { key, rangeEnd, keysOnly: true, limit: pageKeys, revision });
      if (revision === 0) revision = page.header?.revision ?? 0;
      for (const kv of page.kvs) insert(top, utf8Text(kv.key.subarray(prefix.length)));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) break;
      key = Buffer.concat([last.key, new Uint8Array(1)]);
    }
    const out = new Collected();
    out.text(`${inv.args[0] ?? '/'} (${top.keys})\n`);
    draw(top, '', 1, inv.flags.int('depth'), out);
    out.flush();
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

function draw(node: Node, indent: string, level: number, depth: number, out: Collected): void {
  if (depth > 0 && level > depth) return;
  const children = [...node.children];
  children.forEach(([name, child], i) => {
    const last = i === children.length - 1;
    out.text(`${indent}${last ? '└── ' : '├── '}${name}${child.children.size > 0 ? ` (${child.keys})` : ''}\n`);
    draw(child, `${indent}${last ? '    ' : '│   '}`, level + 1, depth, out);
  });
}
