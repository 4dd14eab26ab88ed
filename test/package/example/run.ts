import { startMember } from 'tsetcd/server';
import { tour } from './client.js';

const inMemory = await startMember();
await inMemory.client.put('k', 'v');
await inMemory.close();

const listening = await startMember({ listen: true, flags: { 'max-txn-ops': 8 } });
console.log(JSON.stringify(await tour(listening.endpoints[0] ?? '')));
await listening.close();

const dataDir = process.argv[2] ?? '';
const onDisk = await startMember({ dataDir });
await onDisk.client.put('k', 'kept');
await onDisk.close();
const again = await startMember({ dataDir });
console.log(await again.client.getText('k'));
await again.close();
// Nothing is left that would keep the process: it ends by itself.
