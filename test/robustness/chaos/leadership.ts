/** Watches from outside whether the cluster has a leader: one that a quorum, itself included, agrees on. */
import { connect, rpc, type Client } from '../../../src/client/index.ts';
import type { MemberProcess } from '../../support/member.ts';

const pollMs = 20;
const answerMs = 400;
/** A view older than this says nothing. */
const freshMs = 150;

interface View {
  readonly at: number;
  readonly id: bigint;
  readonly leader: bigint;
  readonly term: number;
}

export interface Leader {
  readonly member: MemberProcess;
  readonly term: number;
}

export class LeadershipProbe {
  readonly #members: readonly MemberProcess[];
  readonly #views = new Map<MemberProcess, View>();
  readonly #clients: Client[] = [];
  #over = false;

  constructor(members: readonly MemberProcess[]) {
    this.#members = members;
    for (const m of members) {
      const client = connect({ endpoints: [m.endpoint] });
      this.#clients.push(client);
      void this.#poll(m, client);
    }
  }

  async #poll(member: MemberProcess, client: Client): Promise<void> {
    while (!this.#over) {
      const at = performance.now();
      // Of several under way the last asked counts: one that was stopped answers when it goes on, with what it thought then.
      const s = await client.call(rpc.Maintenance.status, {}, { timeoutMs: answerMs }).catch(() => undefined);
      if (s === undefined) this.#views.delete(member);
      else this.#views.set(member, { at: performance.now(), id: s.header?.memberId ?? 0n, leader: s.leader, term: s.raftTerm });
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, pollMs - (performance.now() - at))));
    }
  }

  /** The leader now, among those who are looked at. */
  leader(among: readonly MemberProcess[] = this.#members): Leader | undefined {
    const now = performance.now();
    const views = among.flatMap((m) => {
      const view = this.#views.get(m);
      return view !== undefined && now - view.at < freshMs ? [{ m, view }] : [];
    });
    for (const { m, view } of views) {
      if (view.leader !== view.id) continue;
      const followers = views.filter((v) => v.view.leader === view.id && v.view.term === view.term).length;
      if (followers > this.#members.length / 2) return { member: m, term: view.term };
    }
    return undefined;
  }

  close(): void {
    this.#over = true;
    for (const c of this.#clients) c.close();
  }
}
