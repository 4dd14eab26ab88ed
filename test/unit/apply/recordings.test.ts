// The recorded scenarios of kv, lease, alarms and auth, replayed on the applier alone: what fails here is not the wire's fault.
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  findMethod,
  loadArea,
  type Json,
  type JsonObject,
  type Scenario,
  type Variables,
} from '../../conformance/api/corpus.ts';
import { difference, valueAt } from '../../conformance/api/match.ts';
import { MiniMember } from './mini-member.ts';

const areas = [
  'kv-put',
  'kv-range',
  'kv-range-generated',
  'kv-delete',
  'kv-txn',
  'kv-compact',
  'lease',
  'auth-admin',
  'auth-permissions',
  'random',
] as const;
/** Steps of these calls are not served here, only asked for permission. */
const elsewhere = /^(etcdserverpb\.(Maintenance\/(?!Alarm)|Cluster\/)|v3lockpb|v3electionpb)/;
/** Texts with which a call is turned away before it is served. */
const refusals = /user name is empty|permission denied|invalid auth token/;
const needsStreamsOrTime = new Set(['open', 'sleep', 'collect', 'httpOpen', 'http']);

function replay(scenario: Scenario): void {
  const args = new Map((scenario.args ?? []).map((a) => a.replace(/^--/, '').split('=') as [string, string]));
  const member = new MiniMember({ maxTxnOps: Number(args.get('max-txn-ops') ?? 128) });
  const variables: Variables = new Map();
  for (const [i, step] of scenario.steps.entries()) {
    const call = step['call'];
    if (typeof call !== 'string') continue;
    const method = findMethod(call);
    if (method === undefined) continue;
    const metadata = Object.fromEntries(
      Object.entries((step['metadata'] ?? {}) as Record<string, string>).map(([k, v]) => [k, String(variables.get(v.slice(1)) ?? v)]),
    );
    const at = `step ${i} ${call} ${JSON.stringify(step['request']).slice(0, 300)}`;
    const answer = member.call(method.path, encodeMessage(method.request, step['request'], variables), metadata);
    const error = step['error'] as JsonObject | undefined;
    if (elsewhere.test(call)) {
      if (error !== undefined && refusals.test(String(error['message']))) {
        if (call.startsWith('v3')) continue;
        expect(answer?.status?.message, at).toBe(error['message']);
      } else if (error === undefined) expect(answer, at).toBeUndefined();
      continue;
    }
    expect(answer, at).toBeDefined();
    let actual: Json;
    if (answer?.status !== undefined) actual = { error: { code: answer.status.code, message: answer.status.message } };
    else {
      const response = decodeMessage(method.response, answer?.body ?? new Uint8Array(0));
      for (const [name, path] of Object.entries((step['capture'] ?? {}) as Record<string, string>)) {
        variables.set(name, valueAt(response, path) as Json);
      }
      actual = { response };
    }
    const expected: Json = error !== undefined ? { error } : { response: step['response'] ?? {} };
    expect(difference(expected, actual, variables, 0), at).toBeUndefined();
  }
}

for (const name of areas) {
  describe(name, () => {
    for (const scenario of loadArea(name).scenarios) {
      // Lease scenarios with streams or waiting belong to the conformance tests; elsewhere such steps stand beside the ones wanted here.
      if (name === 'lease' && scenario.steps.some((s) => Object.keys(s).some((k) => needsStreamsOrTime.has(k)))) continue;
      it(scenario.name, () => {
        replay(scenario);
      });
    }
  });
}

describe('maintenance', () => {
  for (const scenario of loadArea('maintenance').scenarios) {
    if (!['alarm-list-empty', 'nospace-effects', 'corrupt-effects', 'two-alarms'].includes(scenario.name)) continue;
    it(scenario.name, () => {
      replay(scenario);
    });
  }
});
