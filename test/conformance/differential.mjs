#!/usr/bin/env node
// The same random calls to a real etcd and to tsetcd; every answer is compared as a whole. A seed replays a run.
//
//     node test/conformance/differential.mjs [--seed N] [--runs N] [--steps N] [--reports N] [--only data|auth|session|gateway]
//
// Each run has servers of its own. Ends with status 1 at the first run that differs, after saying where.
import { parseArgs } from 'node:util';
import { authRun } from './differential/auth-run.mjs';
import { difference, Normaliser } from './differential/compare.mjs';
import { dataRun } from './differential/data-run.mjs';
import { gatewayRun } from './differential/gateway-run.mjs';
import { Rng } from './differential/random.mjs';
import { startServer } from './differential/servers.mjs';
import { sessionRun } from './differential/session-run.mjs';
import { Target } from './differential/target.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    reports: { type: 'string', default: '10' },
    runs: { type: 'string', default: '1' },
    steps: { type: 'string', default: '500' },
    only: { type: 'string' },
  },
});
const kinds = { data: dataRun, auth: authRun, session: sessionRun, gateway: gatewayRun };
const reportsMax = Number(values.reports);

class Pair {
  targets;
  calls = 0;
  reports = 0;
  #servers;
  #normalisers;
  #recent = [];

  constructor(servers) {
    this.#servers = servers;
    this.targets = servers.map((s) => new Target(s));
    this.#normalisers = servers.map((s) => new Normaliser({ [s.peerUrl]: 'the peer URL' }));
  }

  /** Member ids hang on ports. */
  async learnIds() {
    const lists = await Promise.all(this.targets.map((t) => t.unary('Cluster/MemberList', {})));
    lists.forEach((l, i) => this.#normalisers[i].learn(l.reply.members[0].ID, 'the member'));
  }

  note(name, message) {
    this.calls++;
    this.#recent.push(`${name} ${shown(message)}`);
    if (this.#recent.length > 8) this.#recent.shift();
  }

  differ(a, b) {
    return difference(this.#normalisers[0].of(a), this.#normalisers[1].of(b));
  }

  report(name, message, d) {
    this.reports++;
    if (this.reports > reportsMax) return;
    console.log(`DIFFERENCE in ${name} ${shown(message)}\n  at ${d.path}\n  etcd:   ${shown(d.reference)}\n  tsetcd: ${shown(d.ours)}`);
    if (this.reports === 1) console.log(`  before it:\n    ${this.#recent.join('\n    ')}`);
  }

  #check(name, message, [a, b]) {
    const d = this.differ(a, b);
    if (d !== undefined) this.report(name, message, d);
    for (const s of this.#servers) if (!s.alive) throw new Error(`${s.kind} has ended after ${name} ${shown(message)}:\n${s.logTail()}`);
    return a;
  }

  async unary(name, message, { token, drop = [], sort } = {}) {
    this.note(name, message);
    const answers = await Promise.all(this.targets.map((t, i) => t.unary(name, message, token?.[i])));
    for (const a of answers) for (const field of drop) if (a.reply !== undefined) delete a.reply[field];
    // A set: it comes in any order.
    for (const a of answers) a.reply?.[sort]?.sort();
    return this.#check(name, message, answers);
  }

  async collect(name, message) {
    this.note(name, message);
    return this.#check(name, message, await Promise.all(this.targets.map((t) => t.collect(name, message))));
  }

  /** Anything that is asked of a server. */
  async each(name, message, fn) {
    this.note(name, message);
    return this.#check(name, message, await Promise.all(this.#servers.map(fn)));
  }

  /** The first answer of a stream. */
  async firstOf(name, message) {
    this.note(name, message);
    const answers = await Promise.all(
      this.targets.map(async (t) => {
        const stream = t.stream(name);
        stream.send(message);
        await stream.until(() => stream.messages.length > 0);
        stream.cancel();
        return stream.messages[0] ?? stream.end ?? 'no answer';
      }),
    );
    return this.#check(name, message, answers);
  }

  /** Tokens of a user on both servers; undefined when refused. */
  async tokens(name, password) {
    this.note('Auth/Authenticate', { name, password });
    const answers = await Promise.all(this.targets.map((t) => t.unary('Auth/Authenticate', { name, password })));
    const tokens = answers.map((a) => a.reply?.token);
    for (const a of answers) if (a.reply !== undefined) a.reply.token = 'a token';
    this.#check('Auth/Authenticate', { name, password }, answers);
    return tokens.includes(undefined) ? undefined : tokens;
  }

  close() {
    for (const t of this.targets) t.close();
  }
}

/** Cut to what a line can show; a seed gives the rest. */
const shownMax = 600;
const shown = (message) =>
  `${JSON.stringify(message, (_, v) => (v?.type === 'Buffer' ? Buffer.from(v.data).toString('latin1').slice(0, 60) : v))}`.slice(
    0,
    shownMax,
  );

let failed = false;
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.runs) && !failed; seed++) {
  for (const [kind, run] of Object.entries(kinds)) {
    if (values.only !== undefined && values.only !== kind) continue;
    const rng = new Rng(seed * 31 + kind.length);
    const flags = kind === 'data' && rng.chance(0.3) ? ['--max-txn-ops=4'] : [];
    const servers = await Promise.all(['etcd', 'tsetcd'].map((k) => startServer(k, flags)));
    const pair = new Pair(servers);
    try {
      await pair.learnIds();
      await run(pair, rng, kind === 'session' ? Math.ceil(Number(values.steps) / 4) : Number(values.steps));
    } catch (error) {
      console.log(error.stack);
      pair.reports++;
    } finally {
      pair.close();
      await Promise.all(servers.map((s) => s.stop()));
    }
    console.log(`seed ${seed} ${kind}: ${pair.calls} calls, ${pair.reports} differences`);
    failed ||= pair.reports > 0;
  }
}
process.exit(failed ? 1 : 0);
