/** Certificates of the tests, which openssl makes, and what a configuration says of them. */

import { chmodSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../helpers/run.ts';

/** Group of the daemon that has given up root: with it, a reload can still read the key. */
const NOGROUP = 65_534;

/** Makes a self-signed certificate for this machine, `NAME.pem` and `NAME.key`. */
export async function makeCertificate(dir: string, name: string, algorithm = 'ec'): Promise<void> {
  const kind = algorithm === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : [algorithm];
  const files = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.pem`)];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await mustRun('openssl', ['req', '-x509', '-nodes', '-newkey', ...kind, ...files, ...names, '-days', '2']);
  protectKey(join(dir, `${name}.key`));
}

export function protectKey(key: string): void {
  chownSync(key, 0, NOGROUP);
  chmodSync(key, 0o640);
}

export function tlsListener(dir: string, name: string, key = name): string {
  return `[[listener]]\ntls = "127.0.0.1:0"\ntls_certificate = "${join(dir, `${name}.pem`)}"\ntls_key = "${join(dir, `${key}.key`)}"\n`;
}

/** The environment in which rsync connects to a port through openssl, which trusts one certificate. */
export function throughTls(port: number, trusted: string, ...options: string[]): Record<string, string> {
  const checks = `-quiet -verify_quiet -verify_return_error -CAfile ${trusted} ${options.join(' ')} -servername localhost`;
  return { RSYNC_CONNECT_PROG: `openssl s_client ${checks} -connect %H:${port}` };
}
