import { afterEach, beforeEach, expect, test } from 'vitest';
import { startMember, type EmbeddedMember } from 'tsetcd/server';
import { tour } from './client.js';

let member: EmbeddedMember;
beforeEach(async () => {
  member = await startMember({ listen: true });
});
afterEach(() => member.close());

test('a program talks to a member of its own', async () => {
  expect(await tour(member.endpoints[0] ?? '')).toEqual(['hello', 'hello again']);
});

test('each test begins with an empty store', async () => {
  expect((await member.client.get('greeting')).count).toBe(0);
  expect(member.metrics()).toContain('etcd_server_has_leader 1');
});
