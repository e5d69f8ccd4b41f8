import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CanonicalHost, parseHost } from '../contract/canonical-host.ts';
import { CertificateAuthority } from './authority.ts';

let dir: string;
let files: { egressKey: string; egressCertificate: string };
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'warren-authority-'));
  files = { egressKey: path.join(dir, 'key'), egressCertificate: path.join(dir, 'crt') };
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const host = (text: string): CanonicalHost => {
  const parsed = parseHost(text);
  if (parsed?.kind !== 'name') throw new Error(text);
  return parsed.name;
};

/** Why a client that trusts `ca` would not talk to a server with this certificate; null when it would. */
async function problemOf(
  authority: CertificateAuthority,
  name: CanonicalHost,
  asked: string,
  ca: string,
): Promise<string | null> {
  const server = tls.createServer({ SNICallback: (_name, done) => done(null, authority.contextFor(name)) }, (socket) =>
    socket.end(),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.on('tlsClientError', () => {});
  const { port } = server.address() as AddressInfo;
  const client = tls.connect({ port, host: '127.0.0.1', servername: asked, ca });
  const problem = await once(client, 'secureConnect').then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? String(error),
  );
  client.on('error', () => {});
  client.destroy();
  server.close();
  return problem;
}

describe('CertificateAuthority', () => {
  it('makes certificates that clients which trust it accept, for that host only', async () => {
    const authority = await CertificateAuthority.open(files);
    const other = await CertificateAuthority.open({
      egressKey: path.join(dir, 'key2'),
      egressCertificate: path.join(dir, 'crt2'),
    });
    const name = host('api.example.com');
    expect(await problemOf(authority, name, 'api.example.com', authority.certificate)).toBeNull();
    expect(await problemOf(authority, name, 'other.example.com', authority.certificate)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await problemOf(authority, name, 'api.example.com', other.certificate)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`;
    expect(await problemOf(authority, host(long), long, authority.certificate)).toBeNull();
  });

  it('is an authority that can sign for hosts and for no further authority', async () => {
    const { certificate } = await CertificateAuthority.open(files);
    const read = new X509Certificate(certificate);
    expect(read.ca).toBe(true);
    expect(read.verify(read.publicKey)).toBe(true);
    expect(new Date(read.validTo).getTime()).toBeGreaterThan(Date.now() + 10 * 365 * 86_400_000);
  });

  it('stays the same over restarts, its key readable by hostd alone', async () => {
    const first = await CertificateAuthority.open(files);
    expect((await CertificateAuthority.open(files)).certificate).toBe(first.certificate);
    expect((await stat(files.egressKey)).mode & 0o777).toBe(0o600);
  });

  it('is made anew after a crash between its two files, and refuses files that do not belong together', async () => {
    await CertificateAuthority.open(files);
    await rm(files.egressCertificate);
    const { certificate } = await CertificateAuthority.open(files);
    await rm(files.egressKey);
    await expect(CertificateAuthority.open(files)).rejects.toThrow('is gone: restore it');
    await CertificateAuthority.open({ ...files, egressCertificate: path.join(dir, 'other') });
    await writeFile(files.egressCertificate, certificate);
    await expect(CertificateAuthority.open(files)).rejects.toThrow('is not the key of');
  });

  it('makes one certificate per host and gives it again', async () => {
    const authority = await CertificateAuthority.open(files);
    expect(authority.contextFor(host('a.example'))).toBe(authority.contextFor(host('A.example.')));
    expect(authority.contextFor(host('a.example'))).not.toBe(authority.contextFor(host('b.example')));
  });
});
