/** The peer port of a member alone: what others may ask before there is anyone to talk raft with. */
import type { HttpHandler } from '../../wire/http.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { idText } from '../membership/ids.ts';
import { memberJson } from '../membership/member-json.ts';
import { plainText, refuseMethod } from './health.ts';
import { versionJson } from './routes.ts';

export function peerRoutes(options: { readonly member: MemberFacade; readonly serverVersion: string }): HttpHandler {
  const { member } = options;
  return (request, response) => {
    const path = request.path.split('?')[0];
    if (path === '/version') {
      if (refuseMethod(request, response)) return;
      response.head(200, { 'content-type': 'application/json' });
      response.end(versionJson(options));
    } else if (path === '/members') {
      if (refuseMethod(request, response)) return;
      response.head(200, { 'content-type': 'application/json', 'x-etcd-cluster-id': idText(member.clusterId) });
      response.end(`[${member.cluster.members().map(memberJson).join(',')}]\n`);
    } else if (path === '/raft/probing') {
      response.head(200, { 'content-type': plainText });
      response.end(`${JSON.stringify({ OK: true, Now: new Date(member.clock.wall()).toISOString() })}\n`);
    } else {
      response.head(404, { 'content-type': plainText, 'x-content-type-options': 'nosniff' });
      response.end('404 page not found\n');
    }
  };
}
