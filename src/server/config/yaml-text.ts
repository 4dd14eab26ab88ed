/** YAML (and so JSON) to plain values. A file of its own, so that only a start with a config file loads the parser. */
import { parseDocument } from 'yaml';

/** @throws an Error that says what is wrong, and where */
export function parseYamlText(text: string): unknown {
  const document = parseDocument(text);
  const bad = document.errors[0];
  if (bad !== undefined) throw new Error(bad.message.split('\n')[0] ?? 'bad document');
  return document.toJS() as unknown;
}
