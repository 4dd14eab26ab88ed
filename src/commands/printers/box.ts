/** Tables with box characters: header in capitals and centred, cells to the right, as etcd's tools draw them. */
import Table from 'cli-table3';

export interface BoxStyle {
  /** Side that cells keep to. */
  readonly align: 'left' | 'right';
}

export function box(header: readonly string[], rows: readonly (readonly string[])[], style: BoxStyle = { align: 'right' }): string {
  const table = new Table({
    head: header.map((h) => ({ content: h.toUpperCase(), hAlign: 'center' })) as unknown as string[],
    colAligns: header.map(() => style.align),
    style: { head: [], border: [], compact: true, 'padding-left': 1, 'padding-right': 1 },
  });
  // As the tables of etcd: cells lose the blanks at their ends.
  for (const row of rows) table.push(row.map((c) => (style.align === 'right' ? c.trim() : c)));
  return `${table.toString()}\n`;
}
