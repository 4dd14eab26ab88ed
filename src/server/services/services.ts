/** All gRPC services of a member, registered on one table. The wire bindings, the JSON gateway and the in-process channel serve from it. */
import type { HandlerTable } from '../../wire/call.ts';
import { mustHaveRule } from '../auth/rules.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { registerAuth } from './auth.ts';
import { registerCluster } from './cluster.ts';
import { ServiceContext, type ServiceDependencies } from './context.ts';
import { registerElection } from './election.ts';
import { registerHealth } from './health.ts';
import { registerKV } from './kv.ts';
import { registerLease } from './lease.ts';
import { registerLock } from './lock.ts';
import { registerMaintenance } from './maintenance.ts';
import { QuotaGuard } from './quota-guard.ts';
import { registerReflection } from './reflection.ts';
import { registerWatch } from './watch.ts';

export function registerServices(table: HandlerTable, member: MemberFacade, dependencies: ServiceDependencies): void {
  const context = new ServiceContext(table, member, dependencies);
  const quota = new QuotaGuard(member);
  registerKV(context, quota);
  registerWatch(context);
  registerLease(context, quota);
  registerCluster(context);
  registerMaintenance(context);
  registerAuth(context);
  registerLock(context);
  registerElection(context);
  registerHealth(table, context.health);
  context.health.log();
  registerReflection(table);
  // Whatever is served has a rule (G-A-1), also what is registered without the context.
  for (const { method } of [...table.unary.values(), ...table.streams.values()]) mustHaveRule(method);
}
