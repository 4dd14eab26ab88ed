// Puts into a member inside this process, through the in-process binding: real WAL, real fdatasync, no network. Figures as JSON on standard output.
//   node test/bench/in-process.mjs DATA_DIR TOTAL CALLERS
// The process under `npm run bench -- in-process`; its CPU time is that of all its threads, the callers' part included.
import { rpc } from '../../dist/client.js';
import { startMember } from '../../dist/server.js';

const [dataDir, totalText, callersText] = process.argv.slice(2);
const total = Number(totalText);
const callers = Number(callersText);
const member = await startMember({ dataDir, flags: { 'quota-backend-bytes': 8 * 2 ** 30 } });
const channel = member.channel();
const value = Buffer.alloc(256, 'v');
const keys = Array.from({ length: 100_000 }, (_, i) => Buffer.from(String(i).padStart(8, '0')));

async function puts(count) {
  let next = 0;
  const caller = async () => {
    for (let i = next++; i < count; i = next++) await channel.unary(rpc.KV.put, { key: keys[(i * 7919) % keys.length], value });
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

await puts(Math.round(total / 4));
const before = process.cpuUsage();
const begun = performance.now();
await puts(total);
const seconds = (performance.now() - begun) / 1000;
const { user, system } = process.cpuUsage(before);
process.stdout.write(JSON.stringify({ rate: total / seconds, cpuUs: (user + system) / total }));
await member.close();
