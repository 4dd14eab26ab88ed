/**
 * Transcripts: a text file of commands and what they answered.
 *
 *   # A comment says what the next commands show.
 *   verb word word key=value key=(a b c)
 *   ----
 *   what the verb answered, up to an empty line
 *
 * DATADRIVEN_RECORD=1 writes the answers anew; the difference is then read and judged like any other change.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface Command {
  readonly verb: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

interface Block {
  /** Comments and empty lines before the command, as they stand. */
  readonly before: readonly string[];
  readonly line: string;
  readonly answer: string;
}

interface Parsed {
  readonly blocks: readonly Block[];
  /** Comments behind the last command. */
  readonly rest: readonly string[];
}

export interface Played {
  readonly recorded: string;
  readonly played: string;
}

/** Plays a file against `run`; with DATADRIVEN_RECORD the file is written anew, and both sides are what was played. */
export function playTranscript(path: string, run: (command: Command) => string): Played {
  const recorded = readFileSync(path, 'utf8');
  const { blocks, rest } = parse(recorded);
  const out: string[] = [];
  for (const block of blocks) {
    out.push(...block.before, block.line, '----');
    const answer = run(commandIn(block.line)).trimEnd();
    out.push(answer === '' ? 'ok' : answer.replaceAll(/\n\n+/g, '\n'), '');
  }
  out.push(...rest);
  const played = `${out.join('\n').trimEnd()}\n`;
  if (process.env['DATADRIVEN_RECORD'] === undefined) return { recorded, played };
  if (played !== recorded) writeFileSync(path, played);
  return { recorded: played, played };
}

function parse(text: string): Parsed {
  const blocks: Block[] = [];
  let before: string[] = [];
  const lines = text.split('\n');
  for (let i = 0; i < lines.length;) {
    const line = (lines[i++] ?? '').trimEnd();
    if (line === '' || line.startsWith('#')) {
      // The empty line behind an answer is written with it.
      if (line !== '' || before.length > 0) before.push(line);
      continue;
    }
    const answer: string[] = [];
    // A command without an answer waits to be recorded.
    if ((lines[i] ?? '').trimEnd() === '----') {
      for (i++; i < lines.length && lines[i] !== ''; i++) answer.push(lines[i] ?? '');
    }
    blocks.push({ before, line, answer: answer.join('\n') });
    before = [];
  }
  return { blocks, rest: before };
}

function commandIn(line: string): Command {
  const parts = line.match(/[^\s=()]+=\([^)]*\)|\([^)]*\)|\S+/g) ?? [];
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const part of parts.slice(1)) {
    const at = part.indexOf('=');
    if (at > 0) options.set(part.slice(0, at), bare(part.slice(at + 1)));
    else words.push(bare(part));
  }
  return { verb: parts[0] ?? '', words, options };
}

function bare(text: string): string {
  return text.startsWith('(') && text.endsWith(')') ? text.slice(1, -1).trim() : text;
}
