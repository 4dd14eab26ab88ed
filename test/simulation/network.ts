/** Links between machines, each direction for itself: delay, loss, duplicates, order, cuts. */
import type { SeededRandom } from '../../src/base/random.ts';
import type { World } from './world.ts';

export interface LinkFaults {
  readonly delayMinMs: number;
  /** Exponential, on top of the least. */
  readonly delayMeanMs: number;
  readonly loss: number;
  readonly duplicate: number;
  /** Messages of one link arrive in the order in which they were sent, as in a stream. */
  readonly inOrder: boolean;
}

interface Link {
  readonly random: SeededRandom;
  lastArrival: number;
  cut: boolean;
  /** Since when it has not been cut. */
  upSince: number;
  clogUntil: number;
  /** Goes up when everything under way is lost. */
  epoch: number;
}

export class Network {
  faults: LinkFaults;
  readonly counts = { sent: 0, lost: 0, duplicated: 0, cut: 0, reset: 0 };
  readonly #world: World;
  readonly #links = new Map<number, Link>();

  constructor(world: World, faults: LinkFaults) {
    this.#world = world;
    this.faults = faults;
  }

  #link(from: number, to: number): Link {
    const key = from * 64 + to;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { random: this.#world.random(`link ${key}`), lastArrival: 0, cut: false, upSince: 0, clogUntil: 0, epoch: 0 };
      this.#links.set(key, link);
    }
    return link;
  }

  /**
   * Has `arrive` run after the link's delay, or never. Of a reliable one a loss is a delay, as in a stream that sends again; but a cut takes it.
   */
  send(from: number, to: number, reliable: boolean, repeatable: boolean, arrive: () => void, plain = false): void {
    const link = this.#link(from, to);
    const { faults } = this;
    this.counts.sent++;
    if (link.cut) {
      this.counts.cut++;
      return;
    }
    if (!reliable && faults.loss > 0 && link.random.float() < faults.loss) {
      this.counts.lost++;
      return;
    }
    this.#deliver(link, reliable, arrive, plain);
    if (repeatable && faults.duplicate > 0 && link.random.float() < faults.duplicate) {
      this.counts.duplicated++;
      this.#deliver(link, false, arrive, plain);
    }
  }

  #deliver(link: Link, ordered: boolean, arrive: () => void, plain: boolean): void {
    const { faults } = this;
    let delay = faults.delayMinMs - Math.log(1 - link.random.float()) * faults.delayMeanMs;
    if (ordered && faults.loss > 0 && link.random.float() < faults.loss) delay += 200;
    let at = Math.max(this.#world.now + delay, link.clogUntil);
    if (ordered || faults.inOrder) {
      at = Math.max(at, link.lastArrival);
      link.lastArrival = at;
    }
    const { epoch } = link;
    this.#world.at(
      at,
      undefined,
      () => {
        if (link.cut) this.counts.cut++;
        else if (link.epoch !== epoch) this.counts.reset++;
        else arrive();
      },
      plain,
    );
  }

  cut(from: number, to: number, cut: boolean): void {
    const link = this.#link(from, to);
    if (link.cut && !cut) link.upSince = this.#world.now;
    if (!link.cut && cut) link.epoch++;
    link.cut = cut;
  }

  /** What is sent until then arrives after it. */
  clog(from: number, to: number, ms: number): void {
    this.#link(from, to).clogUntil = this.#world.now + ms;
  }

  /** The connections between two machines break: what is under way is lost. */
  reset(a: number, b: number): void {
    for (const link of [this.#link(a, b), this.#link(b, a)]) {
      link.epoch++;
      link.upSince = this.#world.now;
    }
  }

  isCut(from: number, to: number): boolean {
    return this.#link(from, to).cut;
  }

  /** Since when both directions have been up; undefined when one is not. */
  upSince(a: number, b: number): number | undefined {
    const [x, y] = [this.#link(a, b), this.#link(b, a)];
    return x.cut || y.cut ? undefined : Math.max(x.upSince, y.upSince);
  }

  healAll(): void {
    for (const link of this.#links.values()) {
      if (link.cut) link.upSince = this.#world.now;
      link.cut = false;
      link.clogUntil = 0;
    }
  }
}
