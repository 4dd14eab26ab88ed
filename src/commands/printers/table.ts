/** `-w table`, for the four listings that etcdctl draws. */
import { formatDuration } from '../text/go-numbers.ts';
import { box } from './box.ts';
import { hexId, statusCells } from './simple.ts';
import type { Format } from './kinds.ts';
import type { PrintOptions } from './printer.ts';

export const statusHeader = [
  'endpoint',
  'ID',
  'version',
  'storage version',
  'db size',
  'in use',
  'percentage not in use',
  'quota',
  'is leader',
  'is learner',
  'raft term',
  'raft index',
  'raft applied index',
  'errors',
  'downgrade target version',
  'downgrade enabled',
];

export function tableFormat(options: PrintOptions): Format {
  return {
    memberList: (r) =>
      options.page(
        box(
          ['ID', 'status', 'name', 'peer addrs', 'client addrs', 'is learner'],
          r.members.map((m) => [
            hexId(m.ID),
            m.name === '' ? 'unstarted' : 'started',
            m.name,
            m.peerURLs.join(','),
            m.clientURLs.join(','),
            String(m.isLearner),
          ]),
        ),
      ),
    endpointHealth: (list) =>
      options.page(
        box(
          ['endpoint', 'health', 'took', 'error'],
          list.map((h) => [h.endpoint, String(h.health), formatDuration(h.tookMs), h.error]),
        ),
      ),
    endpointStatus: (list) =>
      options.page(
        box(
          statusHeader,
          list.map((s) => statusCells(s.endpoint, s.status)),
        ),
      ),
    endpointHashKv: (list) =>
      options.page(
        box(
          ['endpoint', 'hash', 'hash revision'],
          list.map((h) => [h.endpoint, String(h.hash.hash), String(h.hash.hashRevision)]),
        ),
      ),
  };
}
