/** Progress on a terminal: bytes, share and rate on standard error; nothing at all when it is piped. */
import { isatty } from 'node:tty';
import { formatSize } from '../text/go-numbers.ts';

export interface Progress {
  /** @param total 0 when unknown. */
  update(done: number, total: number): void;
  end(): void;
}

/** Pause between two drawings, ms. */
const drawMs = 100;
/** What is done sooner is not worth a drawing, ms. */
const patienceMs = 300;

const silent: Progress = { update: () => undefined, end: () => undefined };

/** @param unit how amounts are written. */
export function progress(label: string, unit: (n: number) => string = formatSize): Progress {
  // A terminal without a size (under a program that made one and did not say) cannot be drawn on: the spinner would count lines for ever.
  if (!isatty(2) || process.env['TERM'] === 'dumb' || !(process.stderr.columns > 0)) return silent;
  const began = performance.now();
  let drawn = -Infinity;
  let last = '';
  let spinner: { text: string; stop(): unknown } | undefined;
  let ended = false;
  const patience = setTimeout(() => {
    void import('ora').then(({ default: ora }) => {
      // The terminal's input is left alone: it may be meant for what comes next.
      if (!ended) spinner = ora({ text: last === '' ? label : last, stream: process.stderr, discardStdin: false }).start();
    });
  }, patienceMs);
  return {
    update(done, total) {
      const now = performance.now();
      if (now - drawn < drawMs) return;
      drawn = now;
      const rate = done / Math.max(0.001, (now - began) / 1000);
      last = `${label}: ${unit(done)}${total > 0 ? ` of ${unit(total)} (${Math.floor((done / total) * 100)} %)` : ''}, ${unit(rate)}/s`;
      if (spinner !== undefined) spinner.text = last;
    },
    end() {
      ended = true;
      clearTimeout(patience);
      spinner?.stop();
    },
  };
}
