/** Progress on a terminal: amounts, share and rate on standard error; nothing at all when it is piped, or under etcd's names. */
import { isatty } from 'node:tty';
import { humanBytes } from '../../base/human-bytes.ts';
import { formatDuration } from '../text/go-numbers.ts';
import { colourful } from './colours.ts';
import type { Invocation } from './invocation.ts';

export interface Progress {
  /** Whether anybody sees it. */
  readonly shown: boolean;
  /** @param total 0 when unknown. */
  update(done: number, total: number): void;
  /** A text of one's own, with the time since the beginning behind it. */
  say(text: string): void;
  end(): void;
}

/** Pause between two drawings, ms. */
const drawMs = 100;
/** What is done sooner is not worth a drawing, ms. */
const patienceMs = 300;

const silent: Progress = { shown: false, update: () => undefined, say: () => undefined, end: () => undefined };

/** @param unit how amounts are written. */
export async function progress(inv: Invocation, label: string, unit: (n: number) => string = humanBytes): Promise<Progress> {
  const { env } = inv.around;
  // A terminal without a size (under a program that made one and did not say) cannot be drawn on: the spinner would count lines for ever.
  if (!inv.own || !isatty(2) || env['TERM'] === 'dumb' || env['CI'] !== undefined || !(process.stderr.columns > 0)) return silent;
  const { default: ora } = await import('ora');
  // The terminal's input is left alone: it may be meant for what comes next.
  const spinner = ora({ text: label, stream: process.stderr, discardStdin: false, color: colourful(inv) ? 'cyan' : false });
  const began = performance.now();
  let drawn = -Infinity;
  let saying = '';
  const draw = (text: string): void => {
    spinner.text = text;
    if (performance.now() - began < patienceMs) return;
    // By hand, too: who works without a pause lets no timer run.
    if (spinner.isSpinning) spinner.render();
    else spinner.start();
  };
  const due = (): boolean => {
    const now = performance.now();
    if (now - drawn < drawMs) return false;
    drawn = now;
    return true;
  };
  const patience = setTimeout(() => {
    if (!spinner.isSpinning) spinner.start();
  }, patienceMs);
  const clock = setInterval(() => {
    if (saying !== '') draw(`${saying}, ${formatDuration(Math.round((performance.now() - began) / 100) * 100)}`);
  }, drawMs);
  clock.unref();
  return {
    shown: true,
    update(done, total) {
      if (!due()) return;
      const rate = done / Math.max(0.001, (performance.now() - began) / 1000);
      draw(`${label}: ${unit(done)}${total > 0 ? ` of ${unit(total)} (${Math.floor((done / total) * 100)} %)` : ''}, ${unit(rate)}/s`);
    },
    say(text) {
      saying = text;
      draw(text);
    },
    end() {
      clearTimeout(patience);
      clearInterval(clock);
      spinner.stop();
    },
  };
}
