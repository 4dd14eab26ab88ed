// Flags and command look-up as etcd's tools have them, texts included.
import { describe, expect, it } from 'vitest';
import { findCommand, suggestions, UnknownCommand } from '../../../src/commands/frame/find.ts';
import { FlagError, Flags, HelpWanted } from '../../../src/commands/frame/flags.ts';
import { globalFlags } from '../../../src/commands/frame/globals.ts';
import type { CommandSpec, FlagSpec } from '../../../src/commands/frame/spec.ts';
import { root } from '../../../src/commands/tree.ts';

const specs: FlagSpec[] = [
  { name: 'limit', type: 'int', usage: '' },
  { name: 'prefix', type: 'bool', usage: '' },
  { name: 'write-out', short: 'w', type: 'string', default: 'simple', usage: '' },
  { name: 'interactive', short: 'i', type: 'bool', usage: '' },
  { name: 'endpoints', type: 'strings', default: 'a:1', usage: '' },
  { name: 'timeout', type: 'duration', default: '5s', usage: '' },
  { name: 'max', type: 'uint', usage: '' },
];
const parse = (...argv: string[]): Flags => {
  const flags = new Flags(specs);
  flags.parse(argv);
  return flags;
};
const refusal = (...argv: string[]): string => {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof FlagError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('flags', () => {
  it('takes values in every form', () => {
    expect(parse('--limit=3', 'a').int('limit')).toBe(3);
    expect(parse('--limit', '-1', 'a').int('limit')).toBe(-1);
    expect(parse('-w', 'json').string('write-out')).toBe('json');
    expect(parse('-wjson').string('write-out')).toBe('json');
    expect(parse('-w=json').string('write-out')).toBe('json');
    expect(parse('-iw', 'json').string('write-out')).toBe('json');
    expect(parse('--limit=0x10').int('limit')).toBe(16);
    expect(parse('--timeout=1m30s').duration('timeout')).toBe(90_000);
  });

  it('takes truth values only with an equals sign', () => {
    const flags = parse('--prefix', 'false', '--interactive=false');
    expect(flags.bool('prefix')).toBe(true);
    expect(flags.bool('interactive')).toBe(false);
    expect(flags.args).toEqual(['false']);
  });

  it('has defaults until something is given, and lists that grow', () => {
    expect(parse().strings('endpoints')).toEqual(['a:1']);
    expect(parse('--endpoints=b:1,c:1', '--endpoints', 'd:1').strings('endpoints')).toEqual(['b:1', 'c:1', 'd:1']);
    expect(parse('--endpoints=').strings('endpoints')).toEqual([]);
    expect(parse().given('limit')).toBe(false);
  });

  it('ends at two dashes', () => {
    const flags = parse('a', '--', '--limit', 'b');
    expect(flags.args).toEqual(['a', '--limit', 'b']);
    expect(flags.argsBeforeDash).toBe(1);
    expect(parse('-', '').args).toEqual(['-', '']);
  });

  it('refuses in the words of etcdctl', () => {
    expect(refusal('--nope=1')).toBe('unknown flag: --nope');
    expect(refusal('-iz')).toBe("unknown shorthand flag: 'z' in -z");
    expect(refusal('--limit')).toBe('flag needs an argument: --limit');
    expect(refusal('-w')).toBe("flag needs an argument: 'w' in -w");
    expect(refusal('--=x')).toBe('bad flag syntax: --=x');
    expect(refusal('--limit=x')).toBe('invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax');
    expect(refusal('--max=-1')).toBe('invalid argument "-1" for "--max" flag: strconv.ParseUint: parsing "-1": invalid syntax');
    expect(refusal('-i=maybe')).toBe(
      'invalid argument "maybe" for "-i, --interactive" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    );
    expect(refusal('--timeout=5')).toBe('invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"');
    expect(refusal('--limit=99999999999999999999')).toContain('value out of range');
  });
});

describe('commands', () => {
  const look = (...argv: string[]): { name: string; argv: readonly string[] } => {
    const { path, argv: rest } = findCommand(root, argv, { program: 'etcdctl', globals: globalFlags });
    return { name: [...path.parents, path.spec].map((s) => s.name).join(' '), argv: rest };
  };

  it('are found by unambiguous beginnings, behind flags', () => {
    expect(look('pu', 'a', 'b')).toEqual({ name: ' put', argv: ['a', 'b'] });
    expect(look('--write-out', 'json', 'lease', 'gr', '5')).toEqual({ name: ' lease grant', argv: ['--write-out', 'json', '5'] });
    expect(look('endp', '--cluster', 'health').name).toBe(' endpoint health');
    expect(look('--', 'get', 'a').name).toBe('');
    expect(look('lease', 'nope').name).toBe(' lease');
  });

  it('are unknown when ambiguous or misspelt', () => {
    for (const word of ['m', 'de', 'comp', 'nope', 'Put']) expect(() => look(word), word).toThrow(UnknownCommand);
    expect(() => look('--bogus', 'get', 'a')).toThrow('unknown command "a" for "etcdctl"');
    expect(suggestions(root, 'gett')).toContain('get');
  });

  it('each have a summary, prose, two examples and help for every flag', () => {
    const walk = (spec: CommandSpec, name: string): void => {
      for (const child of spec.commands ?? []) walk(child, `${name} ${child.name}`);
      if (spec.hidden === true || spec === root) return;
      expect(spec.summary, name).not.toBe('');
      expect(spec.about?.length ?? 0, name).toBeGreaterThan(0);
      if (spec.commands === undefined) expect(spec.examples?.length ?? 0, name).toBeGreaterThan(1);
      for (const flag of spec.flags ?? []) expect(flag.usage, `${name} --${flag.name}`).not.toBe('');
    };
    walk(root, 'tsetcd');
  });

  it('ask for help', () => {
    const flags = new Flags([{ name: 'help', short: 'h', type: 'bool', usage: '' }]);
    expect(() => flags.parse(['a', '-h'])).toThrow(HelpWanted);
  });
});
