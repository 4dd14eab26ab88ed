/** A table of etcd's surface (test/data/surface): tab separated, first row the header. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function surfaceTable(name: string): Readonly<Record<string, string>>[] {
  const [head = '', ...lines] = readFileSync(join(import.meta.dirname, `../../data/surface/${name}.tsv`), 'utf8').split('\n');
  const names = head.split('\t');
  return lines.filter((l) => l !== '').map((l) => Object.fromEntries(l.split('\t').map((cell, i) => [names[i] ?? '', cell])));
}
