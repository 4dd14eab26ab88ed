// Logs in through the npm package etcd3, by client certificate, by password or both: node login.mjs MODULES URL CERTIFICATE USER:PASSWORD PKI
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, url, who, login, pki] = process.argv.slice(2);
const { Etcd3 } = createRequire(join(modules, 'x.js'))('etcd3');
const read = (name) => readFileSync(join(pki, name));
const secure = url.startsWith('https:');
const [username, password] = login.split(':');
const client = new Etcd3({
  hosts: url,
  ...(secure ? { credentials: { rootCertificate: read('ca.crt'), privateKey: read(`${who}.key`), certChain: read(`${who}.crt`) } } : {}),
  ...(login === '' ? {} : { auth: { username, password } }),
});
try {
  await client.put('mine/node').value('1');
  if ((await client.get('mine/node').string()) !== '1') throw new Error('another value');
  const other = await client.get('other').then(
    () => 'allowed',
    (e) => e.message,
  );
  // Who is root may read everything; alice may not.
  if (login === '' ? other !== 'allowed' : !/permission denied/i.test(other)) throw new Error(`reading elsewhere: ${other}`);
  console.log('ok login');
} catch (error) {
  console.log(`fail login: ${error?.stack ?? error}`);
}
client.close();
