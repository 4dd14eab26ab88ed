// The same requests to a real etcd and to tsetcd while users, roles and permissions change under them: same answers, errors, revisions.
// Longer: TSETCD_AUTH_STEPS=5000 TSETCD_SEED=1 npx vitest run test/conformance/auth/differential.test.ts
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { connectGrpcJs } from '../../../src/wire/grpc-js-channel.ts';
import type { Channel } from '../../../src/wire/channel.ts';
import { oneMember, reference, type MemberProcess } from '../../support/member.ts';
import { Steps, Subject, type Step } from './steps.ts';

const count = Number(process.env['TSETCD_AUTH_STEPS'] ?? 700);
const seed = Number(process.env['TSETCD_SEED'] ?? 11);

describe.skipIf(reference('etcd') === undefined)('S-083, S-096: auth beside a real etcd', () => {
  const members: (MemberProcess & { remove(): Promise<void> })[] = [];
  const channels: Channel[] = [];
  const subjects: Subject[] = [];

  beforeAll(async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      const member = await oneMember({ kind, args: ['--bcrypt-cost', '4', '--auth-token-ttl', '3000'] });
      members.push(member);
      const channel = connectGrpcJs(
        { text: member.endpoint, address: member.endpoint, secure: false, unix: false },
        { tls: undefined, connectTimeoutMs: 10_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
      );
      channels.push(channel);
      subjects.push(new Subject(kind, channel));
    }
  });
  afterAll(async () => {
    for (const c of channels) c.close();
    for (const m of members) await m.remove();
  });

  it(`answers ${count} requests alike`, async () => {
    const steps = new Steps(new SeededRandom(seed), Math.ceil(count / 350));
    const [theirs, ours] = subjects as [Subject, Subject];
    const outcomes = new Map<string, number>();
    const differences: string[] = [];
    const take = async (step: Step, at: number): Promise<void> => {
      const [a, b] = await Promise.all([theirs.take(step), ours.take(step)]);
      steps.slots = Math.min(theirs.tokens.length, ours.tokens.length);
      outcomes.set(`${step.method.name} ${a.slice(0, 60)}`, at);
      if (a !== b) differences.push(`seed ${seed} step ${at} ${step.method.name} ${show(step)}\n  etcd:   ${a}\n  tsetcd: ${b}`);
    };
    let at = 0;
    for (const step of steps.opening()) await take(step, at++);
    for (; at < count && differences.length < 20; at++) await take(steps.next(), at);
    expect(differences.join('\n')).toBe('');
    expect(outcomes.size).toBeGreaterThan(Math.min(100, count / 8));
  }, 1_200_000);
});

function show(step: Step): string {
  const text = JSON.stringify(step.request, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
  return `${text.replace(/\{"type":"Buffer","data":\[([\d,]*)\]\}/g, (_, d: string) => JSON.stringify(String.fromCharCode(...d.split(',').map(Number))))} token ${String(step.token)}`;
}
