import { describe, expect, it } from 'vitest';
import { explainConfig } from '../../../src/commands/check-config.ts';
import { readOptions } from '../../../src/server/config/options.ts';
import { parseYamlText } from '../../../src/server/config/yaml-text.ts';

function explain(argv: readonly string[], env: Record<string, string> = {}, file = ''): string {
  const options = readOptions({ argv, env, readFile: () => file, parseYaml: parseYamlText });
  return explainConfig(options, { argv, env });
}

describe('--check-config', () => {
  it('says where values come from', () => {
    const text = explain(['--name', 'a', '--max-snapshots=3'], { ETCD_HEARTBEAT_INTERVAL: '50' });
    expect(text).toContain('no config file');
    expect(text).toContain('name = a  (--name; default "default")');
    expect(text).toContain('heartbeat-interval = 50  (ETCD_HEARTBEAT_INTERVAL; default "100")');
    expect(text).toContain('--max-snapshots is deprecated');
    expect(text).toContain('A member would start');
  });

  it('says what a config file makes ignored', () => {
    const text = explain(['--config-file=x.yml', '--name', 'a'], { ETCD_PRE_VOTE: 'false' }, 'heartbeat-interval: 60');
    expect(text).toContain('From the file x.yml.');
    expect(text).toContain('Ignored because of the file: --name, ETCD_PRE_VOTE.');
    expect(text).toContain('heartbeat-interval = 60  (heartbeat-interval; default "100")');
    expect(text).not.toContain('name = a');
  });

  it('refuses what a start refuses', () => {
    expect(() => explain(['--heartbeat-interval=900'])).toThrow('at least as 5 times');
  });
});
