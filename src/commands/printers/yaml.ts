/** `-w yaml`: the JSON output as YAML, one document an answer. */
import { parseDocument, visit } from 'yaml';
import { stdout } from '../frame/output.ts';
import type { RangeHead } from '../kv/range-parts.ts';
import { jsonTexts, messageJson } from './json.ts';
import { atOnce, type Format, type RangeSink } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

export function yamlFormat(options: PrintOptions): Format {
  const style = { utf8: options.utf8, hexIds: false };
  const range = (head: RangeHead): RangeSink => {
    const before = head.header === undefined ? '' : `"header":${messageJson('etcdserverpb.ResponseHeader', head.header, style)}`;
    stdout(`---\n${before === '' ? '' : toYaml(`{${before}}`)}`);
    let any = false;
    return {
      pairs(kvs) {
        // Documents grow with their nodes: a bounded number at a time.
        for (let at = 0; at < kvs.length; at += pairsAtOnce) {
          const list = kvs.slice(at, at + pairsAtOnce).map((kv) => messageJson('mvccpb.KeyValue', kv, style));
          const text = toYaml(`{"kvs":[${list.join(',')}]}`);
          stdout(any ? text.slice(text.indexOf('\n') + 1) : text);
          any = true;
        }
      },
      end() {
        const tail = messageJson('etcdserverpb.RangeResponse', { more: head.more, count: head.count }, style);
        if (tail !== '{}') stdout(toYaml(tail));
        else if (before === '' && !any) stdout('{}\n');
      },
    };
  };
  return { ...jsonTexts(style, (json) => stdout(`---\n${toYaml(json)}`)), range, get: atOnce(range) };
}

/** Pairs that are made YAML together. */
const pairsAtOnce = 200;

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
