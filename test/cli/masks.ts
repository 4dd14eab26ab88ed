/** What differs from run to run is replaced on both sides before outputs are compared: the list of FORMAT.md, point 2. */

type Replace = readonly [RegExp, string | ((...groups: string[]) => string)];

const sortedList = (text: string, separator: string): string => text.split(separator).sort().join(separator);
const id = '[0-9a-f]{12,16}';
const size = '[\\d.]+ [kMG]?B';
const took = '[0-9.]+(?:ns|µs|us|ms|s|m[0-9.]+s)';

const replacements: readonly Replace[] = [
  // Headers, as JSON (decimal ids, or hexadecimal ones in quotes), fields and decoded protobuf.
  [/"cluster_id":\d+/g, '"cluster_id":"<cluster>"'],
  [/"cluster_id":"[0-9a-f]+"/g, '"cluster_id":"<cluster:hex>"'],
  [/"member_id":\d+/g, '"member_id":"<member>"'],
  [/"member_id":"[0-9a-f]+"/g, '"member_id":"<member:hex>"'],
  [/"raft_term":\d+/g, '"raft_term":"<term>"'],
  [/^"RaftTerm" : \d+$/gm, '"RaftTerm" : <term>'],
  [/^( *1: <id>\n *2: <id>\n(?: *3: \d+\n)? *4: )\d+$/gm, '$1<term>'],
  // Ids.
  [/"(ID|id|lease|memberID|leader)":\d{10,20}/g, '"$1":"<id>"'],
  [/"ID":"[0-9a-f]{10,16}"/g, '"ID":"<id:hex>"'],
  [/\blease [0-9a-f]{16}\b/g, 'lease <lease>'],
  [/^(found \d+ leases\n)((?:[0-9a-f]{16}\n|\{\w+\}\n)+)/gm, (_m, head, list) => head + list.replace(/^[0-9a-f]{16}$/gm, '<lease>')],
  [/\bMember +[0-9a-f]{10,16} /g, 'Member <id> '],
  [/\bMember +(?=\{)/g, 'Member '],
  [/\bcluster +[0-9a-f]{10,16}\b/g, 'cluster <cluster>'],
  [/^[0-9a-f]{10,16}, (started|unstarted), /gm, '<id>, $1, '],
  [/\bmember (?:0x)?[0-9a-f]{12,16}\b/g, 'member <id>'],
  [/memberID:[1-9]\d*/g, 'memberID:<member>'],
  [/memberID:<member> +alarm:/g, 'memberID:<member> alarm:'],
  [new RegExp(`([A-Za-z0-9._-]+)/${id}(?=$|[\\s"\\\\])`, 'gm'), '$1/<lease>'],
  [/\bremaining\(\d+s\)/g, 'remaining(<n>s)'],
  // Sets have no order.
  [/^ETCD_INITIAL_CLUSTER="(.*)"$/gm, (_m, list) => `ETCD_INITIAL_CLUSTER="${sortedList(list, ',')}"`],
  [/attached keys\(\[(.+)\]\)/g, (_m, list) => `attached keys([${sortedList(list, ' ')}])`],
  [/"keys":\[("[^\]]*")\]/g, (_m, list) => `"keys":[${sortedList(list, ',')}]`],
  [/(?:^"Key" : .*\n){2,}/gm, (m) => `${sortedList(m.trimEnd(), '\n')}\n`],
  // Durations.
  [new RegExp(`\\btook = ${took}`, 'g'), 'took = <dur>'],
  [new RegExp(`\\btook ${took}`, 'g'), 'took <dur>'],
  [/"took":"[^"]+"/g, '"took":"<dur>"'],
  [/^"Took" : \S+$/gm, '"Took" : <dur>'],
  // State of a member.
  [/"(raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse)":\d+/g, '"$1":"<n>"'],
  [/"(version|storageVersion)":"\d+\.\d+\.\d+[^"]*"/g, '"$1":"<ver>"'],
  [/^"(RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : \d+$/gm, '"$1" : <n>'],
  [/^"(Version|StorageVersion)" : "\d+\.\d+\.\d+[^"]*"$/gm, '"$1" : "<ver>"'],
  [
    new RegExp(
      `^(\\S+), (${id}|<id>|\\{\\w+\\}), \\d+\\.\\d+\\.\\d+\\S*, \\d+\\.\\d+\\.\\d+, ${size}, ${size}, \\d+%, ([^,]+), (true|false), (true|false), \\d+, \\d+, \\d+, `,
      'gm',
    ),
    (_m, endpoint, member, quota, leader, learner) =>
      `${endpoint}, ${member.startsWith('{') ? member : '<id>'}, <ver>, <ver>, <size>, <size>, <pct>, ${quota}, ${leader}, ${learner}, <n>, <n>, <n>, `,
  ],
  // Hashes and sizes.
  [/"hash":\d+/g, '"hash":"<hash>"'],
  [/"totalSize":\d+/g, '"totalSize":"<n>"'],
  [/^"Hash" : \d+$/gm, '"Hash" : <hash>'],
  [/^"Size" : \d+$/gm, '"Size" : <n>'],
  [/^(\S*\{\w+\}|\S+:\d+), \d{1,10}, (\d+)$/gm, '$1, <hash>, $2'],
  [
    new RegExp(`^[0-9a-f]{1,8}, (\\d+), (\\d+), ${size}, (\\d+\\.\\d+\\.\\d+)?$`, 'gm'),
    (_m, revision, keys, version) => `<hash>, ${revision}, ${keys}, <size>, ${version ? '<ver>' : ''}`,
  ],
  [/^"Version" : \d+\.\d+\.\d+$/gm, '"Version" : <ver>'],
  [/expected sha256 \[[^\]]*\], got \[[^\]]*\]/g, 'expected sha256 [...], got [...]'],
  // Versions and names of the program.
  [/^(?:etcdctl|etcdutl|tsetcd|tsetcd util) version: \d\S*$/gm, '<prog> version: <ver>'],
  [/^(API version:|Server version) \d\S*$/gm, '$1 <ver>'],
  [/\b(?:etcdctl|tsetcd) del --prefix/g, '<prog> del --prefix'],
  [/^Error: marshal unsupported .*$/gm, 'Error: marshal unsupported <...>'],
  [/larger than max \(\d+ vs\. (\d+)\)/g, 'larger than max (<n> vs. $1)'],
  [/\bfor "(?:etcdctl|etcdutl|tsetcd util|tsetcd)((?: [a-z-]+)*)"/g, 'for "<prog>$1"'],
];

const fieldIds: Readonly<Record<string, string>> = {
  ClusterID: 'cluster',
  MemberID: 'member',
  ID: 'id',
  Lease: 'id',
  PrevLease: 'id',
  Leader: 'id',
};

/** @param hex whether ids were asked for in hexadecimal: sixteen digits may be either. */
export function masked(text: string, hex: boolean): string {
  let out = text.replace(
    /^"(ClusterID|MemberID|ID|Lease|PrevLease|Leader)" : ([0-9a-f]{10,20})$/gm,
    (line, name: string, value: string) => {
      if (/^0+$/.test(value)) return line;
      const isHex = hex ? value.length <= 16 : !/^\d+$/.test(value);
      return `"${name}" : <${fieldIds[name]}${isHex ? ':hex' : ''}>`;
    },
  );
  for (const [pattern, replacement] of replacements) out = out.replace(pattern, replacement as string);
  return out;
}

const cellMasks: Readonly<Record<string, readonly [RegExp, string]>> = {
  ID: [/^[0-9a-f]{10,16}$/, '<id>'],
  TOOK: [/^[0-9.]+(ns|µs|us|ms|s)$/, '<dur>'],
  VERSION: [/^\d+\.\d+\.\d+\S*$/, '<ver>'],
  'STORAGE VERSION': [/^\d+\.\d+\.\d+\S*$/, '<ver>'],
  'DB SIZE': [/^[\d.]+ [kMG]?B$/, '<size>'],
  'IN USE': [/^[\d.]+ [kMG]?B$/, '<size>'],
  'TOTAL SIZE': [/^[\d.]+ [kMG]?B$/, '<size>'],
  'PERCENTAGE NOT IN USE': [/^\d+%$/, '<pct>'],
  'RAFT TERM': [/^\d+$/, '<n>'],
  'RAFT INDEX': [/^\d+$/, '<n>'],
  'RAFT APPLIED INDEX': [/^\d+$/, '<n>'],
  HASH: [/^[0-9a-f]{1,10}$/, '<hash>'],
};

/** A table as etcd's tools draw it: header centred, cells to the right, nothing to spare. */
export function drawTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((h, i) => Math.max(h.length, ...rows.map((r) => [...(r[i] ?? '')].length)));
  const rule = (left: string, middle: string, right: string): string => left + widths.map((w) => '─'.repeat(w + 2)).join(middle) + right;
  const line = (cells: readonly string[], pad: (text: string, width: number) => string): string =>
    `│ ${cells.map((c, i) => pad(c, widths[i] ?? 0)).join(' │ ')} │`;
  const centre = (text: string, width: number): string => {
    const spare = width - [...text].length;
    return ' '.repeat(spare >> 1) + text + ' '.repeat(spare - (spare >> 1));
  };
  const right = (text: string, width: number): string => ' '.repeat(width - [...text].length) + text;
  return [
    rule('┌', '┬', '┐'),
    line(header, centre),
    ...(rows.length > 0 ? [rule('├', '┼', '┤')] : []),
    ...rows.map((r) => line(r, right)),
    rule('└', '┴', '┘'),
  ];
}

/** Masks the cells of tables and draws them again; a table that was not drawn as it should be stays, and so differs. */
export function maskedTables(text: string, cell: (text: string) => string, sorted: boolean): string {
  return text.replace(/^┌[^]*?^└.*$/gm, (block) => {
    const [header, ...rows] = block
      .split('\n')
      .filter((l) => l.startsWith('│'))
      .map((l) =>
        l
          .split('│')
          .slice(1, -1)
          .map((c) => c.trim()),
      );
    if (header === undefined || rows.some((r) => r.length !== header.length) || drawTable(header, rows).join('\n') !== block) return block;
    const out = rows.map((r) =>
      r.map((c, i) => {
        const value = cell(c);
        const mask = cellMasks[header[i] ?? ''];
        return mask !== undefined && mask[0].test(value) ? mask[1] : value;
      }),
    );
    if (sorted) out.sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1));
    return drawTable(header, out).join('\n');
  });
}

interface Field {
  readonly number: number;
  readonly value: bigint | Buffer;
}

/** Fields of a protobuf body with varints and lengths only; undefined when it is none. */
function fieldsOf(body: Buffer): Field[] | undefined {
  const out: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = body[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    return undefined;
  };
  while (at < body.length) {
    const tag = varint();
    const value = tag === undefined ? undefined : varint();
    if (tag === undefined || value === undefined || tag >> 3n === 0n) return undefined;
    const number = Number(tag >> 3n);
    if ((tag & 7n) === 0n) out.push({ number, value });
    else if ((tag & 7n) === 2n && BigInt(at) + value <= BigInt(body.length)) {
      out.push({ number, value: body.subarray(at, at + Number(value)) });
      at += Number(value);
    } else return undefined;
  }
  return out;
}

/** A protobuf body as text, by field number; undefined when it is none. */
export function protobufText(body: Buffer, indent = ''): string | undefined {
  const fields = fieldsOf(body);
  if (fields === undefined) return undefined;
  const rows = fields
    .filter((f) => f.value !== 0n)
    .map(({ number, value }): readonly [number, string] => {
      if (typeof value === 'bigint') return [number, `${indent}${number}: ${value >= 1n << 40n ? '<id>' : value}\n`];
      const inner = fieldsOf(value);
      const nested =
        inner !== undefined && inner.length > 0 && inner.every((f) => f.number <= 15) ? protobufText(value, `${indent}  `) : undefined;
      return [
        number,
        `${indent}${number}${nested === undefined ? `: ${JSON.stringify(value.toString('latin1'))}\n` : ` {\n${nested}${indent}}\n`}`,
      ];
    });
  return rows
    .sort((a, b) => a[0] - b[0])
    .map((r) => r[1])
    .join('');
}

const logLine = [
  /^\{"level":"[a-z]+".*\}$/,
  /^\d{4}-\d\d-\d\dT\S+\t(debug|info|warn|error|dpanic|panic|fatal)\t/i,
  /^\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(\.\d+)? /,
];

/** Standard error without log lines (and the stack traces behind them), usage and hints; a repeated error counts once. */
export function plainErrors(text: string): string {
  let inTrace = false;
  const kept = text.split('\n').filter((line) => {
    if (logLine.some((r) => r.test(line))) return !(inTrace = true);
    inTrace &&= /^(\t|[\w./()*-]+\.[\w.()*]+$|goroutine )/.test(line);
    return !inTrace;
  });
  let out = kept.join('\n');
  const usage = out.search(/^(Usage|USAGE):/m);
  if (usage >= 0) {
    const behind = out
      .slice(usage)
      .split('\n')
      .filter((l) => l.startsWith('Error:'));
    out = out.slice(0, usage).replace(/\n+$/, '\n') + behind.map((l) => `${l}\n`).join('');
  }
  return out
    .replace(/^Run '.*' for usage\.\n?/gm, '')
    .replace(/^Use ".*" for .*\n?/gm, '')
    .replace(/\n+Did you mean this\?\n(?:\t.*\n)+\n?/g, '\n')
    .replace(/^(Error:.*\n)(?:\n*\1)+/gm, '$1');
}

export function withoutLogs(text: string): string {
  return text
    .split('\n')
    .filter((l) => !logLine.some((r) => r.test(l)))
    .join('\n');
}
