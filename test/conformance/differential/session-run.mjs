// Locks and elections with leases of known ids, one call after the other.
export async function sessionRun(pair, rng, steps) {
  const leases = [501, 502, 503];
  for (const ID of leases) await pair.unary('Lease/LeaseGrant', { ID, TTL: 4000 + ID });
  // Locks and elections of one name would wait for each other.
  const lockNames = ['lock', 'x/', ''].map((n) => Buffer.from(n));
  const electionNames = ['election', 'y/', '\0'].map((n) => Buffer.from(n));
  /** Keys of locks held, and leader keys of campaigns won. */
  let held = [];
  let led = [];
  for (let i = 0; i < steps; i++) {
    const lease = rng.weighted([
      [6, rng.pick(leases)],
      [0.5, 999],
    ]);
    const kind = rng.weighted([
      [3, 'lock'],
      [3, 'unlock'],
      [3, 'campaign'],
      [2, 'proclaim'],
      [3, 'leader'],
      [2, 'resign'],
      [1, 'keys'],
      [0.3, 'revoke'],
    ]);
    const name = rng.pick(kind === 'lock' ? lockNames : electionNames);
    switch (kind) {
      case 'lock':
        // What another lease holds would be waited for.
        if (held.some((h) => h.name.equals(name) && h.lease !== lease)) break;
        {
          const { reply } = await pair.unary('Lock/Lock', { name, lease });
          if (reply !== undefined) held.push({ name, lease, key: Buffer.from(reply.key, 'base64') });
        }
        break;
      case 'unlock': {
        const h = rng.chance(0.9) && held.length > 0 ? rng.pick(held) : { key: Buffer.from(rng.pick(['', 'nothing'])) };
        await pair.unary('Lock/Unlock', { key: h.key });
        held = held.filter((x) => !x.key.equals(h.key));
        break;
      }
      case 'campaign':
        if (led.some((l) => l.name.equals(name) && l.lease !== lease)) break;
        {
          const { reply } = await pair.unary('Election/Campaign', { name, lease, value: Buffer.from(`c${i}`) });
          if (reply !== undefined) led = [...led.filter((l) => !l.name.equals(name)), { name, lease, leader: bytes(reply.leader) }];
        }
        break;
      case 'proclaim':
      case 'resign': {
        const l = rng.chance(0.85) && led.length > 0 ? rng.pick(led) : undefined;
        const leader = l?.leader ?? rng.pick([undefined, { name, key: Buffer.from('k'), rev: 3, lease }]);
        await pair.unary(kind === 'proclaim' ? 'Election/Proclaim' : 'Election/Resign', {
          ...(leader === undefined ? {} : { leader }),
          ...(kind === 'proclaim' ? { value: Buffer.from(`p${i}`) } : {}),
        });
        if (kind === 'resign' && l !== undefined) led = led.filter((x) => x !== l);
        break;
      }
      case 'leader':
        await pair.unary('Election/Leader', { name });
        break;
      case 'keys':
        await pair.unary('KV/Range', { key: Buffer.of(0), range_end: Buffer.of(0) });
        break;
      case 'revoke': {
        const ID = rng.pick(leases);
        await pair.unary('Lease/LeaseRevoke', { ID });
        held = held.filter((h) => h.lease !== ID);
        led = led.filter((l) => l.lease !== ID);
        await pair.unary('Lease/LeaseGrant', { ID, TTL: 4000 + ID });
        break;
      }
    }
  }
}

const bytes = (leader) => ({ ...leader, name: Buffer.from(leader.name ?? '', 'base64'), key: Buffer.from(leader.key ?? '', 'base64') });
