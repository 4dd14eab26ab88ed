/** How long watch streams hold the loop up with what they send: encoding, and handing over to the wire. Seconds. */
import { exponentialBuckets, Histogram } from '../../base/metrics.ts';

const sendBuckets = exponentialBuckets(0.001, 2, 14);

export class WatchTimes {
  readonly events = new Histogram(sendBuckets);
  readonly perEvent = new Histogram(sendBuckets);
  readonly control = new Histogram(sendBuckets);
  readonly progress = new Histogram(sendBuckets);

  delivered(events: number, ms: number): void {
    this.events.observe(ms / 1000);
    this.perEvent.observe(ms / 1000 / events);
  }
}
