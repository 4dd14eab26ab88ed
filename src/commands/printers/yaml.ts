/** `-w yaml`: the JSON output as YAML, one document an answer. */
import { parseDocument, visit } from 'yaml';
import { stdout } from '../frame/output.ts';
import { jsonTexts } from './json.ts';
import type { Format } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

export function yamlFormat(options: PrintOptions): Format {
  return jsonTexts({ utf8: options.utf8, hexIds: false }, (json) => stdout(`---\n${toYaml(json)}`));
}

/** 64-bit ids stay exact: the YAML is made from the JSON text, which YAML can read as it is. */
export function toYaml(json: string): string {
  const doc = parseDocument(json, { intAsBigInt: true });
  visit(doc, {
    Collection(_key, node) {
      node.flow = false;
    },
    Scalar(_key, node) {
      delete node.type;
    },
  });
  return doc.toString({ lineWidth: 0 });
}
