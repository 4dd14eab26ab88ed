/**
 * Command lines for the comparison with etcd's own tools: not what was recorded, but what somebody who records might think of next. Each
 * scenario runs on members of its own; random ones are made from a seed, so that a difference can be seen again.
 */
import type { Scenario, Step } from './corpus.ts';

/** Small and well-known: seeds must give the same lines everywhere. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

export interface Case {
  readonly group: string;
  readonly scenario: Scenario;
}

const run = (...words: string[]): Step => ({ run: words });
const line = (text: string): Step => ({ run: text.split(' ').filter((w) => w !== '') });
const util = (step: Step): Step => ({ ...step, tool: 'utl' });
const formats = ['simple', 'json', 'fields', 'table', 'protobuf'] as const;

const formatSteps = (...words: string[]): Step[] =>
  formats.flatMap((f) => [
    { run: [...words, '-w', f], ...(f === 'protobuf' ? { as: 'protobuf' as const } : {}) },
    ...(f === 'protobuf' ? [] : [{ run: [...words, '-w', f, '--hex'] }]),
  ]);

/** Keys with different revisions, versions, values and leases. */
const seedKeys: Step[] = [
  run('put', 'a', '1'),
  run('put', 'b', 'two'),
  run('put', 'ab', 'z'),
  run('put', 'a', '11'),
  run('put', 'abc', ''),
  run('put', 'c', 'y'),
  run('put', 'c', 'x'),
  run('put', 'c', 'w'),
  run('put', 'k y', 'v l'),
  run('put', 'ü', 'ö'),
  { run: ['put', 'nl'], stdin: 'line\n' },
  run('del', 'b'),
  run('put', 'b', 'again'),
  { run: ['put', 'big'], stdin_repeat: ['x', 300] },
];

const keyWords = ['a', 'ab', 'abc', 'b', 'c', 'd', 'zz', '', 'ü', 'k y', 'nl', '\\x00', 'A', '-', '0'];
const revisions = ['0', '1', '2', '3', '5', '8', '12', '16', '99', '-1'];

function getLine(dice: Dice): string[] {
  const out = ['get', dice.of(keyWords)];
  if (dice.chance(35)) out.push(dice.of(keyWords));
  if (dice.chance(40)) out.push('--prefix');
  if (dice.chance(15)) out.push('--from-key');
  if (dice.chance(25)) out.push('--keys-only');
  if (dice.chance(10)) out.push('--count-only');
  if (dice.chance(15)) out.push('--print-value-only');
  if (dice.chance(30)) out.push(`--limit=${dice.of(['0', '1', '2', '3', '100', '-1'])}`);
  if (dice.chance(25)) out.push(`--rev=${dice.of(revisions)}`);
  if (dice.chance(35)) out.push(`--sort-by=${dice.of(['KEY', 'VERSION', 'create', 'MODIFY', 'VALUE', 'mod', ''])}`);
  if (dice.chance(35)) out.push(`--order=${dice.of(['ASCEND', 'DESCEND', 'descend', 'asc', ''])}`);
  if (dice.chance(10)) out.push(`--consistency=${dice.of(['l', 's', 'x'])}`);
  for (const flag of ['min-create-rev', 'max-create-rev', 'min-mod-rev', 'max-mod-rev'])
    if (dice.chance(10)) out.push(`--${flag}=${dice.of(revisions)}`);
  if (dice.chance(8)) out.push('--stream');
  if (dice.chance(10)) out.push('--hex');
  out.push(...formatWords(dice));
  return out;
}

function formatWords(dice: Dice): string[] {
  return dice.chance(70) ? ['-w', dice.of(['simple', 'json', 'fields', 'fields', 'table', 'protobuf', 'yamlish'])] : [];
}

const asFormat = (words: string[]): Step => ({ run: words, ...(words.includes('protobuf') ? { as: 'protobuf' as const } : {}) });

function putLine(dice: Dice): string[] {
  const out = ['put', dice.of(keyWords)];
  if (dice.chance(80)) out.push(dice.of(['v', '', 'two words', '=', 'ü', '-x']));
  if (dice.chance(5)) out.push('extra');
  if (dice.chance(30)) out.push('--prev-kv');
  if (dice.chance(10)) out.push('--ignore-value');
  if (dice.chance(10)) out.push('--ignore-lease');
  if (dice.chance(10)) out.push(`--lease=${dice.of(['0', '123', 'zz', '', '-1', '0x12', 'ffffffffffffffff'])}`);
  if (dice.chance(10)) out.push('--hex');
  return [...out, ...formatWords(dice)];
}

function delLine(dice: Dice): string[] {
  const out = ['del', dice.of(keyWords)];
  if (dice.chance(25)) out.push(dice.of(keyWords), '--range');
  if (dice.chance(25)) out.push('--prefix');
  if (dice.chance(10)) out.push('--from-key');
  if (dice.chance(40)) out.push('--prev-kv');
  if (dice.chance(10)) out.push('--hex');
  return [...out, ...formatWords(dice)];
}

const compares = [
  'value("a") = "1"',
  'val("a") != "1"',
  'mod("a") > "0"',
  'm("a") < "100"',
  'version("b") = "1"',
  'ver("b")="1"',
  'create("zz") = "0"',
  'c("c") > "3"',
  'value("a") > "0"',
  'value( "a" ) = "1"',
  'value("a")="1"',
  ' value("a") = "1" ',
  'value("\\x61") = "\\x31"',
  'value(`a`) = `1`',
  'value("a" = "1"',
  'value(a) = "1"',
  'value("a") = 1',
  'value("a") =',
  'value("a")',
  'value',
  '"a" = "1"',
  'nope("a") = "1"',
  'mod("a") = "x"',
  'mod("a") = "-1"',
  'mod("a") = ""',
  'mod("a") = "9223372036854775808"',
  'VALUE("a") = "1"',
  'mod("a") = "0x2"',
  'mod("") = "0"',
  'value("a\\"b") = "c"',
  'value("a") = "1" trailing',
  'value("a") = "1"extra',
  'version("a") = "1" version("b") = "1"',
  "value('a') = '1'",
  'value("a") =  "1"',
  'value("a")\t=\t"1"',
  '()',
  '("a") = "1"',
  'value() = "1"',
  'value("a\\q") = "1"',
];
const requests = [
  'get a',
  'get a b',
  'get a --prefix',
  'get "" --prefix --keys-only',
  'get a -w json',
  'get',
  'get a b c',
  'get --prefix',
  'get a --limit=x',
  'get a --nope',
  'get a --rev=3',
  'get a --rev=99',
  'get --from-key b --limit 2',
  'get a --count-only',
  'get a --prefix --from-key',
  'get a --sort-by=VERSION --order=DESCEND --prefix',
  'get a --order=up',
  'put x 1',
  'put x',
  'put x 1 2',
  'put "x y" "1 2"',
  "put 'x y' '1 2'",
  'put x "a\\nb"',
  'put x "a\\qb"',
  'put x "unclosed',
  "put x 'unclosed",
  'put x a"b"c',
  'put x "a""b"',
  'put x \\"quoted\\"',
  'put x --prev-kv 1',
  'put x 1 --lease=zz',
  'put x 1 --lease=123',
  'put a --ignore-value',
  'put a 1 --ignore-value',
  'put "" 1',
  'put  x   1 ',
  'del a',
  'del a z',
  'del a --prefix --prev-kv',
  'del zz',
  'del --from-key b',
  'del',
  'nope a',
  'PUT x 1',
  'watch a',
  '#comment',
  '"get" a',
];

function txnInput(dice: Dice): string {
  const some = (list: readonly string[], most: number): string =>
    Array.from({ length: dice.below(most + 1) }, () => `${dice.of(list)}\n`).join('');
  const good = compares.slice(0, 12);
  return `${some(dice.chance(50) ? good : compares, 2)}\n${some(requests, 2)}\n${some(requests, 1)}\n`;
}

/** Every command with the wrong number of arguments. */
const commandWords = (
  'put get del txn watch compaction|lease grant|lease revoke|lease timetolive|lease list|lease keep-alive --once|' +
  'member add|member list|member promote|member remove|member update|endpoint health|endpoint status|endpoint hashkv|alarm list|' +
  'alarm disarm|defrag|move-leader|snapshot save|snapshot|lock|elect|auth status|auth enable|auth disable|auth|user add|user delete|' +
  'user get|user list|user passwd|user grant-role|user revoke-role|user|role add|role delete|role get|role list|role grant-permission|' +
  'role revoke-permission|role|check perf --load=nope|check datascale --load=nope|check|make-mirror|downgrade validate|downgrade enable|' +
  'downgrade cancel|downgrade|version|options|completion|help|lease|member|endpoint|alarm'
)
  .split('|')
  .flatMap((w, i) => (i === 0 ? w.split(' ') : [w]));

const utilWords = ['snapshot status', 'snapshot restore', 'snapshot', 'hashkv', 'defrag', 'migrate', 'version', 'completion', 'help'];

/** What stops by itself only when somebody interrupts it. */
const endless = /^(watch x1|lock x1|elect x1|lease keep-alive|make-mirror x1)/;

const usage: Step[] = commandWords.flatMap((words) =>
  [0, 1, 2, 3, 4].map((n) => ({
    run: [...words.split(' '), ...Array.from({ length: n }, (_, i) => `x${i + 1}`)],
    cmp: { stdout: 'nonempty' as const },
  })),
);

const badGlobals: Step[] = [
  '--command-timeout=x',
  '--command-timeout=5',
  '--command-timeout=',
  '--command-timeout=-1s',
  '--command-timeout=1ms',
  '--dial-timeout=1x',
  '--dial-timeout=.5s',
  '--dial-timeout=0',
  '--keepalive-time=1h1m1.5s',
  '--keepalive-timeout=abc',
  '--max-request-bytes=x',
  '--max-request-bytes=1.5',
  '--max-request-bytes=99999999999999999999',
  '--max-request-bytes=1',
  '--max-recv-bytes=1',
  '--max-recv-bytes=-1',
  '--insecure-transport=maybe',
  '--insecure-transport=false',
  '--insecure-skip-tls-verify',
  '--insecure-discovery=2',
  '--hex=yes',
  '--hex=TRUE',
  '--debug=x',
  '-w=json',
  '-wjson',
  '-w',
  '--write-out=',
  '--write-out=JSON',
  '--write-out=nope',
  '--write-out',
  '--endpoints=',
  '--endpoints=,',
  '--endpoints=nowhere.invalid:1',
  '--endpoints=127.0.0.1:{freePort}',
  '--endpoints=http://{endpoint}',
  '--endpoints=https://{endpoint}',
  '--endpoints={endpoint},127.0.0.1:{freePort}',
  '--endpoints=http://{endpoint}/',
  '--endpoints= {endpoint} ',
  '--endpoints=ftp://{endpoint}',
  '--endpoints=unix:///nope',
  '--user=',
  '--user=a',
  '--user=a:b',
  '--password=x',
  '--user=a --password=b',
  '--user=:b',
  '--user=a:',
  '--auth-jwt-token=x',
  '--auth-jwt-token=x --user=a:b',
  '--auth-jwt-token=x --password=b',
  '--cacert=',
  '--cacert=nope.pem',
  '--cert=nope.pem',
  '--key=nope.pem',
  '--cert=nope.pem --key=nope.key',
  '--cert= --key=',
  '--nope',
  '--nope=1',
  '-z',
  '-wz',
  '-dw',
  '---x',
  '--=x',
  '-',
  '--',
  '-h',
  '--help=false',
  '--help=x',
  '--discovery-srv=nowhere.invalid',
].flatMap((flags) =>
  ['get a', 'put a 1', 'version', 'member list', 'endpoint health'].map((command) => ({
    run: [...command.split(' '), ...flags.replace(/^--endpoints= /, '--endpoints=%20').split(' ')].map((w) => w.replace('%20', ' ')),
    cmp: { stdout: 'nonempty' as const },
  })),
);

const commandFlags: Readonly<Record<string, readonly string[]>> = {
  'get a': ['limit', 'rev', 'min-mod-rev', 'max-create-rev', 'consistency', 'sort-by', 'order', 'prefix', 'keys-only', 'stream'],
  'del a': ['prefix', 'prev-kv', 'range', 'from-key'],
  'put a 1': ['lease', 'prev-kv', 'ignore-value', 'ignore-lease'],
  'compaction 1': ['physical'],
  'lease timetolive 123': ['keys'],
  'lease keep-alive 123': ['once'],
  'member add n': ['peer-urls', 'learner'],
  'member list': ['consistency'],
  'member update 123': ['peer-urls'],
  'endpoint hashkv': ['rev', 'cluster'],
  'endpoint status': ['cluster'],
  defrag: ['cluster'],
  'user add u:p': ['no-password', 'new-user-password', 'interactive'],
  'user get u': ['detail'],
  'role grant-permission r read k': ['prefix', 'from-key'],
  'role revoke-permission r k': ['prefix', 'from-key'],
};
const badValues: Step[] = Object.entries(commandFlags).flatMap(([command, names]) =>
  names.flatMap((name) =>
    ['x', '', '-1', '1.5', '0x10', '1_000', '010', '99999999999999999999', 'true', 'F', ' 1'].map((value) =>
      run(...command.split(' '), `--${name}=${value}`),
    ),
  ),
);

const urls = [
  'http://a:1',
  'http://a',
  'a:1',
  '',
  'http://a:1/x',
  'http://a:1/',
  'ftp://a:1',
  'unix://x',
  'unix:///x',
  'http://a:1,http://a:1',
  'http://b:1,http://a:2',
  'http://[::1]:2380',
  'http://a:x',
  'http://:2380',
  'http:// a:1',
  'HTTP://a:1',
  'http://a:1?q=1',
  'http://u:p@a:1',
  'http://a:99999',
  'https://a:1',
  ',http://a:1',
  'http://%zz:1',
];

const uninterruptedUsage = usage.filter((s) => !endless.test((s.run ?? []).join(' ')));

const fixed: Record<string, Scenario> = {
  usage: {
    name: 'wrong numbers of arguments',
    mask: [['^stty: .*\\n', '']],
    // Nothing here may be able to change the cluster for what follows: names are unknown, ids are no ids.
    steps: uninterruptedUsage.filter((s) => !/^(auth enable|auth disable)$/.test((s.run ?? []).join(' '))),
  },
  'util-usage': {
    name: 'wrong numbers of arguments, offline',
    server: false,
    steps: utilWords.flatMap((words) =>
      [0, 1, 2, 3].map((n) =>
        util({ run: [...words.split(' '), ...Array.from({ length: n }, (_, i) => `x${i + 1}`)], cmp: { stdout: 'nonempty' } }),
      ),
    ),
  },
  'help-of-all': {
    name: 'help of every command',
    server: false,
    steps: [
      ...commandWords.flatMap((words) => [
        { run: [...words.split(' '), '--help'], cmp: { stdout: 'nonempty' as const } },
        { run: ['help', ...words.split(' ').filter((w) => !w.startsWith('-'))], cmp: { stdout: 'nonempty' as const } },
        { run: [...words.split(' '), '-h', '--nope'], cmp: { stdout: 'nonempty' as const } },
        { run: [...words.split(' '), '--nope', '-h'], cmp: { stdout: 'nonempty' as const } },
      ]),
      ...utilWords.flatMap((words) => [
        util({ run: [...words.split(' '), '--help'], cmp: { stdout: 'nonempty' } }),
        util({ run: ['help', ...words.split(' ')], cmp: { stdout: 'nonempty' } }),
        util({ run: [...words.split(' '), '--nope'], cmp: { stdout: 'nonempty' } }),
        util({ run: [...words.split(' '), '-w', 'nope'], cmp: { stdout: 'nonempty' } }),
        util({ run: [...words.split(' '), '--timeout=x'], cmp: { stdout: 'nonempty' } }),
      ]),
      ...[
        '',
        'nope',
        'help nope',
        'help get nope',
        'gett',
        'ge',
        'pu',
        'l',
        'lea',
        'co',
        'e',
        'del-',
        '-h',
        '--help',
        '--version',
        '-v',
      ].map((w) => ({ ...line(w), cmp: { stdout: 'nonempty' as const } })),
      ...['lease nope', 'lease gra', 'member nope x', 'user nope', 'role nope', 'endpoint nope', 'snapshot nope', 'alarm nope'].map(
        (w) => ({
          ...line(w),
          cmp: { stdout: 'nonempty' as const },
        }),
      ),
      ...['bash', 'zsh', 'fish', 'powershell', 'nope', 'bash zsh', 'bash --no-descriptions', 'bash -h'].map((w) => ({
        ...line(`completion ${w}`),
        cmp: { stdout: 'nonempty' as const },
      })),
      ...['get a b c d', 'get', 'put'].map(line),
    ],
  },
  'bad-globals': { name: 'global flags with bad values', mask: [['^stty: .*\\n', '']], steps: [run('put', 'a', '1'), ...badGlobals] },
  'bad-values': { name: 'flags with bad values', steps: [run('put', 'a', '1'), ...badValues] },
  'member-urls': {
    name: 'peer URLs',
    steps: [
      { run: ['member', 'list', '-w', 'json'], capture: { me: '"ID":(\\d+)' } },
      { run: ['member', 'list'], capture: { meHex: '^([0-9a-f]+),' } },
      ...urls.map((u) => run('member', 'update', '{meHex}', `--peer-urls=${u}`)),
      ...urls
        .filter((u) => !/^https?:\/\/[^ ?/]+:\d+(,|$)/i.test(u))
        .map((u) => ({ run: ['member', 'add', 'n1', `--peer-urls=${u}`], cmp: { stdout: 'nonempty' as const } })),
    ],
  },
  members: {
    name: 'member commands in every format',
    server: { members: 1 },
    steps: [
      { run: ['member', 'list'], capture: { me: '^([0-9a-f]+),' } },
      ...formatSteps('member', 'list'),
      ...formatSteps('member', 'update', '{me}', '--peer-urls=http://127.0.0.1:{freePort}'),
      ...['member add', 'member add n http://a:1', 'member add n http://a:1 x', 'member add n', 'member update', 'member update x'].map(
        line,
      ),
      ...[
        'member update 123 --peer-urls=http://a:1',
        'member remove 123',
        'member promote 123',
        'member promote {me}',
        'member remove zz',
      ].map(line),
      { run: ['member', 'add', 'n', '--learner', '--peer-urls=http://127.0.0.1:1'], capture: { n: '^Member +([0-9a-f]+) added' } },
      ...formatSteps('member', 'list'),
      ...['member add n --learner --peer-urls=http://127.0.0.1:2', 'member add n --peer-urls=http://127.0.0.1:1', 'member promote {n}'].map(
        line,
      ),
      ...formatSteps('member', 'promote', '{n}'),
      { run: ['member', 'remove', '{n}'] },
      { run: ['member', 'remove', '{n}'] },
      { run: ['member', 'update', '{n}', '--peer-urls=http://127.0.0.1:3'] },
      {
        run: ['member', 'add', 'o', '--learner', '--peer-urls=http://127.0.0.1:4', '-w', 'json'],
        capture: { o: '"member":\\{"ID":(\\d+)' },
      },
      ...formatSteps('member', 'list', '--consistency=s'),
    ],
  },
  leases: {
    name: 'lease commands in every format',
    mask: [
      ['"ttl":1\\d\\d', '"ttl":<n>'],
      ['^"TTL" : 1[0-9][0-9]$', '"TTL" : <n>'],
    ],
    steps: [
      ...formatSteps('lease', 'grant', '100'),
      { run: ['lease', 'grant', '200'], capture: { l: 'lease ([0-9a-f]{16})' } },
      run('put', 'k1', 'v', '--lease={l}'),
      run('put', 'k"2', 'v', '--lease={l}'),
      { run: ['get', 'k1', '-w', 'json'] },
      ...formatSteps('get', 'k1'),
      ...formatSteps('lease', 'timetolive', '{l}'),
      ...formatSteps('lease', 'timetolive', '{l}', '--keys'),
      ...formatSteps('lease', 'timetolive', '1234'),
      ...formatSteps('lease', 'keep-alive', '--once', '{l}'),
      ...formatSteps('lease', 'keep-alive', '--once', '1234'),
      ...formatSteps('lease', 'list').map((s) => ({ ...s, cmp: { stdout: 'sorted' as const } })),
      run('put', 'k3', 'v', '--lease=0x{l}'),
      run('put', 'k1', 'v2', '--ignore-lease'),
      run('put', 'k1', '--ignore-value', '--lease={l}'),
      run('put', 'k1', '--ignore-value', '--ignore-lease'),
      run('put', 'none', 'x', '--ignore-lease'),
      run('put', 'none', '--ignore-value'),
      run('put', 'k1', 'x', '--ignore-lease', '--lease={l}'),
      ...formatSteps('lease', 'revoke', '{l}'),
      { run: ['lease', 'revoke', '{l}'] },
      ...['lease grant -1', 'lease grant x', 'lease grant 1.5', 'lease grant 99999999999'].map(line),
      ...['lease grant 9223372036854775808', 'lease grant 0x10', 'lease grant 1 2', 'lease grant', 'lease grant 1_0'].map(line),
      ...['lease revoke xyz', 'lease revoke 0', 'lease revoke', 'lease revoke 1 2', 'lease timetolive xyz', 'lease timetolive 0'].map(line),
      ...[
        'lease keep-alive --once xyz',
        'lease keep-alive --once 0',
        'lease keep-alive',
        'lease keep-alive 1234',
        'lease grant 0',
        'lease grant -- -1',
      ].map(line),
    ],
  },
  endpoints: {
    name: 'endpoint commands in every format',
    steps: [
      run('put', 'a', '1'),
      ...formatSteps('endpoint', 'health'),
      ...formatSteps('endpoint', 'health', '--cluster'),
      ...formatSteps('endpoint', 'status'),
      ...formatSteps('endpoint', 'status', '--cluster'),
      ...formatSteps('endpoint', 'hashkv'),
      ...formatSteps('endpoint', 'hashkv', '--cluster'),
      ...formatSteps('endpoint', 'hashkv', '--rev=1'),
      ...['-1', '2', '3', '100'].map((r) => run('endpoint', 'hashkv', `--rev=${r}`)),
      ...formats.map((f) => run('endpoint', 'health', '--endpoints={endpoint},127.0.0.1:{freePort}', '--command-timeout=1s', '-w', f)),
      ...formats.map((f) => run('endpoint', 'status', '--endpoints=127.0.0.1:{freePort},{endpoint}', '--command-timeout=1s', '-w', f)),
      ...formats.map((f) => run('endpoint', 'hashkv', '--endpoints={endpoint},127.0.0.1:{freePort}', '--command-timeout=1s', '-w', f)),
      run('endpoint', 'status', '--endpoints={endpoint},{endpoint}'),
      run('endpoint', 'health', '--endpoints=http://{endpoint}'),
      run('endpoint', 'status', '--endpoints=http://{endpoint}', '-w', 'json'),
      { run: ['endpoint', 'status'], env: { ETCDCTL_CLUSTER: 'true' } },
      { run: ['endpoint', 'status', '--cluster'], env: { ETCDCTL_CLUSTER: 'true' } },
      { run: ['defrag', '--cluster'], env: { ETCDCTL_CLUSTER: 'true' } },
      { run: ['defrag'] },
      { run: ['defrag', '-w', 'json'] },
      { run: ['defrag', '--endpoints=127.0.0.1:{freePort}', '--command-timeout=1s'] },
      { run: ['defrag', '--endpoints=127.0.0.1:{freePort},{endpoint}', '--command-timeout=1s'] },
      { run: ['defrag', 'x'] },
    ],
  },
  maintenance: {
    name: 'alarm, compaction, downgrade, move-leader in every format',
    steps: [
      run('put', 'a', '1'),
      run('put', 'a', '2'),
      ...formatSteps('alarm', 'list'),
      ...formatSteps('alarm', 'disarm'),
      ...formatSteps('compaction', '2'),
      ...['compaction 2', 'compaction 1', 'compaction 0', 'compaction -- -1', 'compaction 99', 'compaction x', 'compaction 1.5'].map(line),
      ...['compaction 3 --physical', 'compaction 3 --physical -w json', 'compaction 99999999999999999999', 'compaction 0x3'].map(line),
      ...['get a --rev=1', 'get a --rev=2', 'get a --rev=99', 'get a --rev=1 -w json', 'watch a --rev=1'].map(line),
      ...['3.6', '3.6.0', '3.5', '3.7', '3.8', '4.0', 'x', '', '3', '3.6.1', 'v3.6', '3.6.0-rc.1', '3.06'].map((v) =>
        run('downgrade', 'validate', v),
      ),
      ...formatSteps('downgrade', 'validate', '3.6'),
      ...formatSteps('downgrade', 'enable', '3.6'),
      ...formatSteps('downgrade', 'cancel'),
      ...['downgrade enable 3.5', 'downgrade enable', 'downgrade enable 3.6 x', 'downgrade cancel', 'downgrade cancel x'].map(line),
      { run: ['member', 'list'], capture: { me: '^([0-9a-f]+),' } },
      ...formatSteps('move-leader', '{me}'),
      ...['move-leader', 'move-leader x', 'move-leader 123', 'move-leader 1 2', 'move-leader 0'].map(line),
      run('move-leader', '{me}', '--endpoints=127.0.0.1:{freePort}', '--command-timeout=1s'),
    ],
  },
  nospace: {
    name: 'alarms that are raised',
    // How many values fit is the store's own affair.
    mask: [
      ['"revision":\\d+', '"revision":<n>'],
      ['^"Revision" : \\d+$', '"Revision" : <n>'],
      ['^  3: \\d+$', '  3: <n>'],
    ],
    server: { args: ['--quota-backend-bytes=200000'] },
    steps: [
      ...Array.from({ length: 8 }, (_, i): Step => ({
        run: ['put', `k${i}`],
        stdin_repeat: ['x', 50_000],
        cmp: { stdout: 'ignore', stderr: 'ignore', exit: 'ignore' },
      })),
      run('put', 'k', 'v'),
      ...formatSteps('alarm', 'list'),
      ...formats.map((f) => run('endpoint', 'health', '-w', f)),
      run('endpoint', 'status', '-w', 'fields'),
      run('endpoint', 'status', '-w', 'table'),
      run('endpoint', 'status', '-w', 'simple'),
      run('lease', 'grant', '10'),
      run('get', 'k1', '--keys-only'),
      { run: ['txn'], stdin: '\nput a 1\n\n\n' },
      { run: ['txn'], stdin: '\nget a\n\n\n' },
      run('alarm', 'disarm'),
      run('alarm', 'disarm', '-w', 'json'),
      run('alarm', 'disarm', 'x'),
      run('alarm', 'list', 'x'),
    ],
  },
  access: {
    name: 'auth, user and role in every format',
    // etcdctl has another program turn the terminal's echo off, which complains without one.
    mask: [['^stty: .*\\n', '']],
    steps: [
      ...formatSteps('auth', 'status'),
      ...formatSteps('user', 'list'),
      ...formatSteps('role', 'list'),
      ...formats.flatMap((f, i) => [asFormat(['user', 'add', `u${i}:p`, '-w', f]), asFormat(['role', 'add', `r${i}`, '-w', f])]),
      ...formats.flatMap((f, i) => [
        asFormat(['user', 'grant-role', `u${i}`, `r${i}`, '-w', f]),
        asFormat(['role', 'grant-permission', `r${i}`, 'readwrite', 'k', 'z', '-w', f]),
        asFormat(['role', 'grant-permission', `r${i}`, 'read', 'p/', '--prefix', '-w', f]),
        asFormat(['role', 'grant-permission', `r${i}`, 'write', 'q', '--from-key', '-w', f]),
        asFormat(['role', 'grant-permission', `r${i}`, 'read', 'one', '-w', f]),
      ]),
      ...formatSteps('user', 'list'),
      ...formatSteps('role', 'list'),
      ...formatSteps('role', 'get', 'r0'),
      ...formatSteps('user', 'get', 'u0'),
      ...formatSteps('user', 'get', 'u0', '--detail').filter((s) => s.as !== 'protobuf'),
      run('role', 'grant-permission', 'r0', 'read', '', '--prefix'),
      run('role', 'grant-permission', 'r0', 'write', '', '--from-key'),
      run('role', 'grant-permission', 'r0', 'write', ''),
      run('role', 'grant-permission', 'r0', 'write', '', 'k'),
      run('role', 'revoke-permission', 'r0', '', 'k'),
      run('role', 'revoke-permission', 'r0', ''),
      run('role', 'revoke-permission', 'r0', '', '--prefix'),
      run('role', 'revoke-permission', 'r0', '', '--from-key'),
      run('role', 'grant-permission', 'r0', 'read', 'k', 'a'),
      run('role', 'grant-permission', 'r0', 'read', 'k', 'k'),
      run('role', 'grant-permission', 'r0', 'READ', 'k'),
      run('role', 'grant-permission', 'r0', 'nope', 'k'),
      run('role', 'grant-permission', 'r0', 'read', 'k', 'z', '--prefix'),
      run('role', 'grant-permission', 'r0', 'read', 'k', 'z', '--from-key'),
      run('role', 'grant-permission', 'r0', 'read', 'k', '--prefix', '--from-key'),
      run('role', 'grant-permission', 'nope', 'read', 'k'),
      run('role', 'grant-permission', 'r0', 'read', 'ü', '\\x00'),
      run('role', 'get', 'r0'),
      run('role', 'get', 'r0', '-w', 'json'),
      run('role', 'get', 'nope'),
      run('role', 'get', 'root'),
      run('role', 'add', 'r0'),
      run('role', 'add', ''),
      run('role', 'delete', 'nope'),
      run('user', 'add', 'u0:p'),
      run('user', 'add', ':p'),
      run('user', 'add', ''),
      run('user', 'add', 'x:'),
      run('user', 'add', 'a:b:c'),
      run('user', 'add', 'np', '--no-password'),
      run('user', 'add', 'np2:pw', '--no-password'),
      run('user', 'add', 'np3', '--no-password', '--new-user-password=x'),
      run('user', 'add', 'nu', '--new-user-password=x'),
      run('user', 'add', 'nv:y', '--new-user-password=x'),
      { run: ['user', 'add', 'in', '--interactive=false'], stdin: 'pw\n' },
      { run: ['user', 'add', 'in2', '--interactive=false'], stdin: '' },
      { run: ['user', 'add', 'in3', '--interactive=false'], stdin: '  a b\n' },
      { run: ['user', 'add', 'in4'], stdin: 'pw\npw\n' },
      { run: ['user', 'add', 'in5'], stdin: 'pw\nother\n' },
      { run: ['user', 'add', 'in6'], stdin: '' },
      { run: ['user', 'passwd', 'u0', '--interactive=false'], stdin: 'pw2\n' },
      { run: ['user', 'passwd', 'u0', '--interactive=false', '-w', 'json'], stdin: 'pw2\n' },
      { run: ['user', 'passwd', 'nope', '--interactive=false'], stdin: 'pw2\n' },
      { run: ['user', 'passwd', 'u0'], stdin: 'p\np\n' },
      run('user', 'get', 'nope'),
      run('user', 'delete', 'nope'),
      run('user', 'grant-role', 'nope', 'r0'),
      run('user', 'grant-role', 'u0', 'nope'),
      run('user', 'grant-role', 'u0', 'r0'),
      run('user', 'revoke-role', 'u0', 'nope'),
      run('user', 'revoke-role', 'nope', 'r0'),
      ...formats.flatMap((f, i) => [
        asFormat(['role', 'revoke-permission', `r${i}`, 'p/', '--prefix', '-w', f]),
        asFormat(['role', 'revoke-permission', `r${i}`, 'q', '--from-key', '-w', f]),
        asFormat(['role', 'revoke-permission', `r${i}`, 'k', 'z', '-w', f]),
        asFormat(['role', 'revoke-permission', `r${i}`, 'none', '-w', f]),
        asFormat(['user', 'revoke-role', `u${i}`, `r${i}`, '-w', f]),
      ]),
      run('user', 'get', 'u1'),
      run('user', 'get', 'u1', '--detail'),
      run('auth', 'enable'),
      run('user', 'add', 'root:r'),
      run('auth', 'enable'),
      run('user', 'grant-role', 'root', 'root'),
      run('auth', 'enable', '-w', 'json'),
      ...formatSteps('auth', 'status', '--user=root:r'),
      run('auth', 'enable', '--user=root:r'),
      run('get', 'a'),
      run('get', 'a', '--user=root:wrong'),
      run('get', 'a', '--user=nope:x'),
      run('get', 'a', '--user=root', '--password=r'),
      run('get', 'a', '--user=root:r', '--password=r'),
      { run: ['get', 'a'], env: { ETCDCTL_USER: 'root:r' } },
      { run: ['get', 'a'], env: { ETCDCTL_USER: 'root', ETCDCTL_PASSWORD: 'r' } },
      { run: ['get', 'a', '--user=root:r'], env: { ETCDCTL_USER: 'root:r' } },
      { run: ['get', 'a', '--user=root'], stdin: 'r\n' },
      { run: ['get', 'a', '--user=root'], stdin: 'wrong\n' },
      { run: ['get', 'a', '--user=root'], stdin: '' },
      run('get', 'a', '--auth-jwt-token=nope'),
      run('put', 'a', '1', '--user=u1:p'),
      run('get', 'a', '--user=u1:p'),
      run('del', 'a', '--user=u1:p'),
      run('endpoint', 'health', '--user=u1:p'),
      run('endpoint', 'health'),
      run('endpoint', 'status'),
      run('endpoint', 'hashkv', '--user=u1:p'),
      run('member', 'list', '--user=u1:p'),
      run('member', 'list'),
      run('alarm', 'list', '--user=u1:p'),
      run('lease', 'grant', '10', '--user=u1:p'),
      run('lease', 'grant', '10'),
      run('lease', 'list'),
      run('lease', 'timetolive', '123', '--user=u1:p'),
      run('compaction', '1', '--user=u1:p'),
      run('defrag', '--user=u1:p'),
      run('snapshot', 'save', 's.db', '--user=u1:p'),
      run('snapshot', 'save', 's.db'),
      run('user', 'list', '--user=u1:p'),
      run('user', 'get', 'u1', '--user=u1:p'),
      run('user', 'get', 'u2', '--user=u1:p'),
      run('role', 'list', '--user=u1:p'),
      run('role', 'get', 'r0', '--user=u1:p'),
      run('role', 'get', 'r0'),
      run('auth', 'status'),
      run('auth', 'status', '--user=u1:p'),
      { run: ['txn', '--user=u1:p'], stdin: '\nput a 1\n\n\n' },
      run('watch', 'a', '--user=u1:p'),
      run('watch', 'a'),
      run('lock', 'l', '--user=u1:p', '--', 'true'),
      run('user', 'delete', 'root', '--user=root:r'),
      run('role', 'delete', 'root', '--user=root:r'),
      run('user', 'revoke-role', 'root', 'root', '--user=root:r'),
      run('auth', 'disable', '--user=u1:p'),
      run('auth', 'disable'),
      run('auth', 'disable', '--user=root:r', '-w', 'json'),
      run('auth', 'disable'),
    ],
  },
  environment: {
    name: 'variables',
    steps: [
      run('put', 'a', '1'),
      ...[
        { ETCDCTL_WRITE_OUT: 'json' },
        { ETCDCTL_WRITE_OUT: 'nope' },
        { ETCDCTL_WRITE_OUT: '' },
        { ETCDCTL_HEX: 'true' },
        { ETCDCTL_HEX: 'x' },
        { ETCDCTL_API: '3' },
        { ETCDCTL_API: '2' },
        { ETCDCTL_NOPE: '1' },
        { ETCDCTL_COMMAND_TIMEOUT: '1ns' },
        { ETCDCTL_COMMAND_TIMEOUT: 'x' },
        { ETCDCTL_DIAL_TIMEOUT: 'x' },
        { ETCDCTL_ENDPOINTS: '' },
        { ETCDCTL_ENDPOINTS: 'http://{endpoint}' },
        { ETCDCTL_ENDPOINTS: '127.0.0.1:{freePort},{endpoint}' },
        { ETCDCTL_INSECURE_TRANSPORT: 'false' },
        { ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'true' },
        { ETCDCTL_CACERT: 'nope.pem' },
        { ETCDCTL_CERT: 'nope.pem' },
        { ETCDCTL_USER: 'x:y' },
        { ETCDCTL_PREFIX: 'true' },
        { ETCDCTL_LIMIT: '1' },
        { ETCDCTL_DEBUG: 'x' },
        { ETCDCTL_CLUSTER: 'true' },
        { ETCDCTL_CLUSTER: 'x' },
        { ETCDCTL_MAX_REQUEST_BYTES: '1' },
        { ETCDCTL_KEEPALIVE_TIME: '1s' },
        { ETCDCTL_WATCH_KEY: 'a' },
        { ETCDCTL_DISCOVERY_SRV: '' },
      ].flatMap((env): Step[] => [
        { run: ['get', 'a'], env },
        { run: ['get', 'a', '-w', 'fields'], env },
        { run: ['endpoint', 'health'], env },
        { run: ['version'], env },
      ]),
      { run: ['watch'], env: { ETCDCTL_WATCH_RANGE_END: 'b' } },
      { run: ['watch', 'a'], env: { ETCDCTL_WATCH_KEY: 'a' } },
      { run: ['watch', '--rev=1', '--', 'false'], env: { ETCDCTL_WATCH_KEY: 'a' } },
      { run: ['watch', '--rev=1', '--prefix', '--', 'false'], env: { ETCDCTL_WATCH_KEY: 'a', ETCDCTL_WATCH_RANGE_END: 'b' } },
      { run: ['watch', '--rev=1', '--', 'sh', '-c', 'env | grep ETCD_WATCH | sort; exit 3'], env: { ETCDCTL_WATCH_KEY: 'a' } },
    ],
  },
  'watch-lines': {
    name: 'watch',
    steps: [
      run('put', 'a', '1'),
      run('put', 'ab', '2'),
      run('put', 'a', '3'),
      run('del', 'a'),
      ...[
        'watch a --rev=1',
        'watch a --rev=1 --prev-kv',
        'watch a --prefix --rev=1 -w json',
        'watch a --prefix --rev=1 --prev-kv -w json',
        'watch a --prefix --rev=2 -w fields',
        'watch a --prefix --rev=1 --prev-kv -w fields --hex',
        'watch a b --rev=1 -w simple',
        'watch a --prefix --rev=1 --hex',
        'watch a --rev=1 --progress-notify',
      ].flatMap((text, i): Step[] => [
        { run: text.split(' '), background: `w${i}`, settle: true },
        { expect: `w${i}`, lines: 3, quiet: 150 },
        { kill: `w${i}` },
      ]),
      { run: ['watch', 'a', '--rev=1', '-w', 'protobuf'], background: 'pb', settle: true, as: 'protobuf' },
      { kill: 'pb', as: 'protobuf' },
      ...[
        'watch a --rev=1 -w table',
        'watch a --rev=1 -w nope',
        'watch',
        'watch a b --prefix',
        'watch a b --prefix --rev=1',
        'watch a --rev=x',
        'watch a --',
        'watch a --rev=1 -- false',
        'watch a --rev=1 -- nosuchcommand',
        'watch a --rev=1 -- sh -c exit\t3',
        'watch -- true',
        'watch a b --rev=1 -- false x',
        'watch --rev=1 a -w json -- false',
      ].map((text): Step => ({ run: text.split(' ') })),
      ...[
        'watch a --rev=1\n',
        'watch ab --rev=1\nwatch a --rev=1\n',
        'watch a --rev=1 --prev-kv\n',
        'nope\n',
        '\n',
        'watch\n',
        'watch a b c\n',
        'watch a --nope\n',
        'watch a --rev=x\n',
        'watch "a" --rev=1\n',
        "watch 'ab' --rev=1\n",
        'watch a --prefix --rev=1 -- echo hi\n',
        'watch a --\n',
        'watch --rev=1 -- echo x\n',
        'progress\n',
        'watch a b --prefix\n',
        '  watch ab --rev=1  \n',
        'get a\n',
        'watch -h\n',
        'watch "" --prefix --rev=1\n',
        'exit\n',
      ].flatMap((text, i): Step[] => [
        { run: ['watch', '-i'], stdin: text, stdin_open: true, background: `i${i}`, settle: true },
        { expect: `i${i}`, lines: 0, quiet: 200 },
        { kill: `i${i}` },
      ]),
      ...['', 'watch a --rev=1', 'nope', 'watch zz\nnope\n'].map((stdin): Step => ({
        run: ['watch', '-i'],
        stdin,
        cmp: { stdout: 'ignore' },
      })),
      { run: ['watch', '-i', 'a'], stdin: '' },
      { run: ['watch', '-i', '-w', 'json'], stdin: 'watch ab --rev=1\n', stdin_open: true, background: 'ij', settle: true },
      { expect: 'ij', lines: 1, quiet: 150 },
      { kill: 'ij' },
    ],
  },
  offline: {
    name: 'snapshots and files',
    steps: [
      ...seedKeys,
      run('compaction', '4'),
      run('snapshot', 'save', 's.db'),
      run('snapshot', 'save', 'nodir/s.db'),
      run('snapshot', 'save', 's.db', 'x'),
      run('snapshot', 'save'),
      run('snapshot', 'save', ''),
      run('snapshot', 'save', 't.db', '-w', 'json'),
      run('snapshot', 'save', 't.db', '-w', 'nope'),
      run('snapshot', 'save', 't.db', '--endpoints={endpoint},{endpoint}'),
      run('snapshot', 'save', 't.db', '--endpoints=127.0.0.1:{freePort}', '--command-timeout=1s'),
      ...formats.map((f) => util(run('snapshot', 'status', 's.db', '-w', f))),
      util(run('snapshot', 'status', 's.db', '-w', 'nope')),
      util(run('snapshot', 'status', 's.db', '--hex')),
      util(run('snapshot', 'status', 'none.db')),
      util(run('snapshot', 'status', '.')),
      util(run('snapshot', 'status', '')),
      { file: '{tmp}/text.db', text: 'no database' },
      { file: '{tmp}/empty.db', text: '' },
      ...['text.db', 'empty.db'].flatMap((f) => [
        util(run('snapshot', 'status', f)),
        util(run('snapshot', 'restore', f, '--data-dir', `r-${f}`)),
      ]),
      ...formats.map((f) => util(run('snapshot', 'restore', 's.db', '--data-dir', `r-${f}`, '-w', f))),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r-simple')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r1', '--name', 'n')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r2', '--name', 'n', '--initial-cluster', 'n=http://127.0.0.1:1')),
      util(
        run(
          ...['snapshot', 'restore', 's.db', '--data-dir', 'r3', '--name', 'n', '--initial-cluster', 'n=http://127.0.0.1:1'],
          ...['--initial-advertise-peer-urls', 'http://127.0.0.1:1'],
        ),
      ),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r4', '--initial-cluster', 'x')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r5', '--initial-cluster', 'x=')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r6', '--initial-advertise-peer-urls', 'nope')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r7', '--initial-cluster-token', '')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r8', '--bump-revision', '10')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r9', '--bump-revision', '10', '--mark-compacted')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r10', '--mark-compacted')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r11', '--bump-revision', '-1')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r12', '--bump-revision', 'x')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r13', '--skip-hash-check')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r14', '--skip-hash-check=x')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r15', '--wal-dir', 'w15')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r15b', '--wal-dir', 'w15')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r16', '--initial-memory-map-size', 'x')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r17', '--initial-memory-map-size', '1')),
      util(run('snapshot', 'restore', 's.db', '--data-dir', 'r18', '--nope')),
      util(run('snapshot', 'restore', 's.db', 'x', '--data-dir', 'r19')),
      util(run('snapshot', 'restore', 's.db', '--name', 'q', '--initial-cluster', 'q=http://localhost:2380')),
      { file: '{tmp}/q.etcd', exists: true },
      { file: '{tmp}/cut.db', copyFrom: '{tmp}/s.db', truncate: -100 },
      { file: '{tmp}/flip.db', copyFrom: '{tmp}/s.db', flip: 9000 },
      ...['cut.db', 'flip.db'].flatMap((f) => [
        util({ run: ['snapshot', 'restore', f, '--data-dir', `r-${f}`] }),
        util({ run: ['snapshot', 'status', f], cmp: { stdout: 'ignore' } }),
      ]),
      ...formats.map((f) => util(run('hashkv', 'r-simple/member/snap/db', '-w', f))),
      ...['-1', '1', '4', '5', '99', 'x'].map((r) => util(run('hashkv', 'r-simple/member/snap/db', `--rev=${r}`))),
      util(run('hashkv', 'none.db')),
      util(run('hashkv')),
      util(run('hashkv', 'a', 'b')),
      util(run('defrag', '--data-dir', 'r-simple')),
      util(run('defrag', '--data-dir', 'none')),
      util(run('defrag')),
      util(run('defrag', 'r-simple')),
      util(run('defrag', '--data-dir', 'r-simple', '-w', 'json')),
      util(run('migrate', '--data-dir', 'r-simple')),
      util(run('migrate', '--target-version', '3.6')),
      ...['3.6', '3.5', '3.7', '3.4', '3.8', 'x', '3', '', '3.6.0', '4.0'].map((v) =>
        util(run('migrate', '--data-dir', 'r-json', '--target-version', v)),
      ),
      util(run('migrate', '--data-dir', 'r-json', '--target-version', '3.6', '--force')),
      util(run('migrate', '--data-dir', 'none', '--target-version', '3.6')),
      util(run('version')),
      util(run('version', '-w', 'json')),
    ],
  },
  concurrency: {
    name: 'locks and elections',
    mask: [['"key":"(bC8|ZS8)[^"]*"', '"key":"<key>"']],
    steps: [
      run('lock', 'l', '--', 'true'),
      run('lock', 'l', '--', 'false'),
      run('lock', 'l', '--', 'sh', '-c', 'exit 7'),
      run('lock', 'l', '--', 'nosuchcommand'),
      run('lock', 'l', 'echo', 'hi'),
      run('lock', 'l', '--', 'sh', '-c', 'echo ${ETCD_LOCK_KEY%/*} $ETCD_LOCK_REV'),
      run('lock', 'l', '--ttl=0', '--', 'true'),
      run('lock', 'l', '--ttl=-5', '--', 'true'),
      run('lock', 'l', '--ttl=x', '--', 'true'),
      run('lock', '', '--', 'true'),
      run('lock'),
      run('lock', 'l', '--', 'true', '-w', 'json'),
      run('lock', 'l', '-w', 'json', '--', 'true'),
      run('lock', 'l', '-w', 'nope', '--', 'true'),
      ...(['simple', 'json', 'fields', 'table'] as const).flatMap((f, i): Step[] => [
        { run: ['lock', 'l', '-w', f], background: `l${i}`, settle: true },
        { expect: `l${i}`, lines: f === 'table' ? 0 : 1, quiet: 200 },
        { kill: `l${i}` },
      ]),
      ...(['simple', 'json', 'fields', 'table'] as const).flatMap((f, i): Step[] => [
        { run: ['elect', 'e', 'p', '-w', f], background: `e${i}`, settle: true },
        { expect: `e${i}`, lines: f === 'table' ? 0 : 1, quiet: 200 },
        ...(f === 'table'
          ? []
          : [
              { run: ['elect', '-l', 'e', '-w', f], background: `o${i}`, settle: true } as Step,
              { expect: `o${i}`, lines: 1, quiet: 200 } as Step,
              { kill: `o${i}` } as Step,
            ]),
        { kill: `e${i}`, signal: 'SIGTERM' },
      ]),
      ...['elect', 'elect e', 'elect e p -l', 'elect e p x', 'elect -l', 'elect -l e p'].map(line),
    ],
  },
  tls: {
    name: 'certificates',
    server: { tls: 'mutual' },
    steps: [
      run('put', 'a', '1'),
      run('put', 'a', '1', '--cacert={ca}'),
      run('put', 'a', '1', '--cacert={ca}', '--cert={clientCert}', '--key={clientKey}'),
      run('get', 'a', '--cacert={otherCa}', '--cert={clientCert}', '--key={clientKey}'),
      run('get', 'a', '--insecure-skip-tls-verify', '--cert={clientCert}', '--key={clientKey}'),
      run('get', 'a', '--insecure-skip-tls-verify'),
      run('get', 'a', '--cert={clientCert}', '--key={rootKey}', '--cacert={ca}'),
      run('get', 'a', '--cert={clientCert}', '--cacert={ca}'),
      run('get', 'a', '--key={clientKey}', '--cacert={ca}'),
      run('get', 'a', '--cacert={clientKey}'),
      run('get', 'a', '--cert={clientKey}', '--key={clientCert}', '--cacert={ca}'),
      run('get', 'a', '--cert=nope', '--key={clientKey}'),
      run('get', 'a', '--cert={clientCert}', '--key=nope'),
      run('get', 'a', '--cacert=nope'),
      run('endpoint', 'health', '--cacert={ca}', '--cert={clientCert}', '--key={clientKey}', '--endpoints={endpoint}'),
      run('endpoint', 'health', '--cacert={ca}', '--cert={clientCert}', '--key={clientKey}', '--endpoints=http://{endpoint}'),
      run('endpoint', 'status', '--cluster', '--cacert={ca}', '--cert={clientCert}', '--key={clientKey}', '-w', 'table'),
      run('get', 'a', '--insecure-transport=false', '--endpoints={endpoint}'),
      run('get', 'a', '--insecure-transport=false', '--insecure-skip-tls-verify', '--endpoints={endpoint}'),
    ].map((s) => ({ ...s, run: [...(s.run ?? []), '--command-timeout=1s'] })),
  },
  cluster: {
    name: 'three members',
    // Members are listed by id, which is another one each time.
    mask: [['^\\[?\\{"(header|endpoint|Endpoint)".*', '<json>']],
    server: { members: 3 },
    steps: [
      run('put', 'a', '1', '--endpoints={endpoints}'),
      ...formatSteps('endpoint', 'health', '--cluster').map((s) => ({ ...s, cmp: { stdout: 'sorted' as const } })),
      ...formatSteps('endpoint', 'hashkv', '--cluster').map((s) => ({ ...s, cmp: { stdout: 'sorted' as const } })),
      run('endpoint', 'hashkv', '--endpoints={endpoints}', '-w', 'table'),
      { run: ['endpoint', 'health', '--endpoints={endpoints}', '-w', 'fields'], cmp: { stdout: 'sorted' } },
      { run: ['member', 'list'], cmp: { stdout: 'sorted' } },
      { run: ['member', 'list', '-w', 'table'], cmp: { stdout: 'sorted' } },
      run('get', 'a', '--endpoints={endpoints}', '-w', 'json'),
      run('get', 'a', '--endpoints={endpoint2}', '--consistency=s'),
      run('snapshot', 'save', 'x.db', '--endpoints={endpoints}'),
      { run: ['defrag', '--cluster'], cmp: { stdout: 'sorted' } },
      { server: 'stop', member: 'm3' },
      { server: 'stop', member: 'm2' },
      run('get', 'a', '--command-timeout=2s'),
      run('get', 'a', '--consistency=s'),
      run('put', 'a', '2', '--command-timeout=2s'),
      run('member', 'list', '--command-timeout=2s'),
      run('member', 'list', '--consistency=s', '-w', 'json'),
      run('endpoint', 'health', '--command-timeout=2s'),
      run('endpoint', 'status', '-w', 'fields', '--command-timeout=2s'),
      run('lease', 'grant', '10', '--command-timeout=2s'),
    ],
  },
  mirror: {
    name: 'make-mirror and checks',
    server: { second: true },
    steps: [
      ...seedKeys,
      ...['make-mirror', 'make-mirror a b', 'make-mirror a --no-dest-prefix --dest-prefix=x', 'make-mirror a --rev=x'].map(line),
      ...['make-mirror a --max-txn-ops=-1', 'make-mirror a --dest-cert=nope', 'make-mirror a --dest-user=x:y --command-timeout=1s'].map(
        line,
      ),
      ...[
        '{endpointDest}',
        '{endpointDest} --prefix=a --dest-prefix=m/',
        '{endpointDest} --prefix=a --no-dest-prefix',
        '{endpointDest} --prefix=c --rev=2 --max-txn-ops=1',
      ].flatMap((words, i): Step[] => [
        { run: ['make-mirror', ...words.split(' ')], background: `m${i}`, settle: true },
        { sleep: 500 },
        run('put', 'after', String(i)),
        run('put', 'ab', String(i)),
        run('del', 'c'),
        run('put', 'c', String(i)),
        { sleep: 500 },
        { kill: `m${i}` },
        run('get', '', '--prefix', '--keys-only', '--endpoints={endpointDest}'),
      ]),
      ...['check perf --load=x', 'check datascale --load=', 'check perf --prefix=a', 'check datascale --prefix=a'].map(line),
      ...['check perf --auto-compact=x', 'check', 'check nope', 'check perf --load=s --prefix='].map(line),
    ],
  },
};

function random(group: string, seed: number, count: number): Scenario {
  const dice = new Dice(seed);
  const name = `${group} #${seed}`;
  switch (group) {
    case 'get':
      return { name, steps: [...seedKeys, ...Array.from({ length: count }, () => asFormat(getLine(dice)))] };
    case 'write':
      return {
        name,
        steps: [
          ...seedKeys,
          ...Array.from({ length: count }, () => asFormat(dice.chance(55) ? putLine(dice) : delLine(dice))),
          run('get', '', '--prefix', '-w', 'json'),
        ],
      };
    case 'txn':
      return {
        name,
        steps: [
          ...seedKeys,
          ...Array.from({ length: count }, (): Step => ({
            ...asFormat(['txn', ...(dice.chance(20) ? ['-i'] : []), ...formatWords(dice)]),
            stdin: txnInput(dice),
          })),
          run('get', '', '--prefix', '-w', 'json'),
        ],
      };
    default:
      throw new TypeError(`no random group ${group}`);
  }
}

export const randomGroups = ['get', 'write', 'txn'] as const;

/** All scenarios of `seeds` seeds with `count` random lines each. */
export function cases(options: { readonly seeds: readonly number[]; readonly count: number }): Case[] {
  return [
    ...Object.entries(fixed).map(([group, scenario]) => ({ group, scenario })),
    ...randomGroups.flatMap((group) => options.seeds.map((seed) => ({ group, scenario: random(group, seed, options.count) }))),
  ];
}

/** Each line of the txn lists by itself, so that none hides another. */
export function txnLines(): Case {
  const steps = [
    ...compares.map((c): Step => ({ run: ['txn'], stdin: `${c}\n\nget a\n\nget b\n\n` })),
    ...requests.map((r): Step => ({ run: ['txn'], stdin: `\n${r}\n\nget b\n\n` })),
    ...['', '\n', '\n\n', '\n\n\n', '\n\nget a\n\n', 'value("a") = "1"\n\nget a\n\nget b\n', '\nget a\nget b\n\n\n', '\r\n\r\n\r\n'].map(
      (stdin): Step => ({ run: ['txn'], stdin }),
    ),
    { run: ['txn', '-i'], stdin: 'value("a") = "1"\n\nget a\n\nget b\n\n' } as Step,
    { run: ['txn', '-i'], stdin: 'nope\n' } as Step,
    { run: ['txn', 'x'], stdin: '' } as Step,
  ];
  return { group: 'txn-lines', scenario: { name: 'txn lines one by one', steps: [...seedKeys, ...steps] } };
}
