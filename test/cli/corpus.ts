/** The recorded command lines: `test/data/cli/*.json`, format in FORMAT.md beside them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { top } from '../support/member.ts';

export type Relaxed = 'ignore' | 'nonempty' | 'sorted' | 'first' | 'errors';
export type Mask = readonly [pattern: string, replacement: string];

export interface Step {
  readonly run?: readonly string[];
  readonly tool?: 'utl';
  readonly stdin?: string;
  readonly stdin_b64?: string;
  readonly stdin_repeat?: readonly [string, number];
  readonly stdin_open?: boolean;
  readonly env?: Readonly<Record<string, string | null>>;
  readonly capture?: Readonly<Record<string, string>>;
  readonly background?: string;
  readonly settle?: boolean;
  readonly expect?: string;
  readonly lines?: number;
  readonly quiet?: number;
  readonly errLines?: number;
  readonly send?: string;
  readonly text?: string;
  readonly close?: boolean;
  readonly kill?: string;
  readonly wait?: string;
  readonly signal?: NodeJS.Signals;
  readonly server?: 'stop' | 'start';
  readonly member?: string;
  readonly dataDir?: string;
  readonly clusterState?: string;
  readonly initialCluster?: string;
  readonly args?: readonly string[];
  readonly ready?: boolean;
  readonly file?: string;
  readonly b64?: string;
  readonly copyFrom?: string;
  readonly append?: string;
  readonly flip?: number;
  readonly truncate?: number;
  readonly mkdir?: boolean;
  readonly remove?: boolean;
  readonly exists?: boolean;
  readonly mode?: string;
  readonly sizeMod?: readonly [number, number];
  readonly sleep?: number;
  readonly split?: boolean;
  readonly must?: boolean;
  readonly timeout?: number;
  readonly as?: 'protobuf';
  readonly mask?: readonly Mask[];
  readonly cmp?: { readonly stdout?: Relaxed; readonly stderr?: Relaxed; readonly exit?: 'ignore' };
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit?: number;
}

export interface Scenario {
  readonly name: string;
  readonly slow?: boolean;
  readonly server?:
    | false
    | {
        readonly members?: number;
        readonly args?: readonly string[];
        readonly tls?: 'server' | 'mutual';
        readonly second?: boolean;
        readonly spare?: number;
      };
  readonly mask?: readonly Mask[];
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

export interface Area {
  readonly area: string;
  readonly scenarios: readonly Scenario[];
}

export const corpusDir = join(top, 'test/data/cli');

export function areas(): Area[] {
  return readdirSync(corpusDir)
    .filter((f) => f.endsWith('.json'))
    .sort()
    .map((f) => JSON.parse(readFileSync(join(corpusDir, f), 'utf8')) as Area);
}
