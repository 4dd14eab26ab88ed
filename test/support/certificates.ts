/** A small authority for tests, by openssl. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly dir: string;
  readonly ca: string;

  /** Makes the authority's own certificate in `dir`. */
  constructor(dir: string, name = 'test authority') {
    mkdirSync(dir, { recursive: true });
    this.dir = dir;
    this.ca = join(dir, 'ca.pem');
    this.#openssl('req', '-x509', ...newKey('ca.key'), '-out', 'ca.pem', '-days', '30', '-subj', `/CN=${name}`);
    writeFileSync(join(dir, 'index.txt'), '');
    writeFileSync(join(dir, 'crlnumber'), '01');
    writeFileSync(
      join(dir, 'ca.cnf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=./index.txt\ndefault_md=sha256\ndefault_crl_days=10\ncrlnumber=./crlnumber\n',
    );
  }

  /** `days` below zero: expired. */
  issue(
    name: string,
    options: {
      readonly cn?: string;
      readonly san?: string;
      readonly usage?: string;
      readonly days?: number;
      readonly keyIds?: boolean;
    } = {},
  ): Pair {
    const { cn = name, san, usage = 'serverAuth,clientAuth', days = 10, keyIds } = options;
    this.#openssl('req', ...newKey(`${name}.key`), '-out', `${name}.csr`, '-subj', `/CN=${cn}`);
    writeFileSync(
      join(this.dir, 'ext'),
      `extendedKeyUsage=${usage}\n${san === undefined ? '' : `subjectAltName=${san}\n`}${keyIds === false ? 'subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n' : ''}`,
    );
    const from = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days), '-extfile', 'ext'];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...from, '-out', `${name}.pem`);
    return { cert: join(this.dir, `${name}.pem`), key: join(this.dir, `${name}.key`) };
  }

  /** The list of all that were revoked so far and now, as PEM and DER. */
  revoke(...pairs: readonly Pair[]): { readonly pem: string; readonly der: string } {
    const by = ['-config', 'ca.cnf', '-keyfile', 'ca.key', '-cert', 'ca.pem'];
    for (const p of pairs) this.#openssl('ca', ...by, '-revoke', p.cert);
    this.#openssl('ca', ...by, '-gencrl', '-out', 'crl.pem');
    this.#openssl('crl', '-in', 'crl.pem', '-outform', 'DER', '-out', 'crl.der');
    return { pem: join(this.dir, 'crl.pem'), der: join(this.dir, 'crl.der') };
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe' });
  }
}

function newKey(file: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file];
}
