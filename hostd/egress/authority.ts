import { createPrivateKey, generateKeyPair as generateKeyPairCallback, randomBytes, sign, X509Certificate } from 'node:crypto';
import tls, { type SecureContext } from 'node:tls';
import { promisify } from 'node:util';
import forge from 'node-forge';
import type { CanonicalHost } from '../contract/canonical-host.ts';
import { readIfExists, writeAtomically } from '../storage/files.ts';

/*
 * This host's certificate authority, with which hostd ends the TLS of inspected hosts. Made on the first start; the key never leaves
 * the host, and nobody but this host's machines is asked to trust it. RSA, because the other end often runs emulated, where
 * checking an RSA signature costs a fraction of checking an elliptic one. node-forge writes the certificates, OpenSSL signs.
 */
const generateKeyPair = promisify(generateKeyPairCallback);
const KEY_BITS = 2048;
const AUTHORITY_YEARS = 20;
const DAY_MS = 86_400_000;
/** Long enough for a machine whose clock is off; a certificate is made anew well before its end. */
const LEAF_DAYS = 30;
const RENEW_AFTER_MS = DAY_MS;
const LEAVES_MAX = 500;

export type AuthorityFiles = { egressKey: string; egressCertificate: string };

type KeyPair = { privateKey: string; publicKey: string };
type Leaf = { context: SecureContext; madeAt: number };

export class CertificateAuthority {
  /** PEM, for the machines to trust. */
  readonly certificate: string;
  readonly #key: string;
  readonly #leafKeys: KeyPair;
  readonly #leaves = new Map<CanonicalHost, Leaf>();

  private constructor(key: string, certificate: string, leafKeys: KeyPair) {
    this.#key = key;
    this.certificate = certificate;
    this.#leafKeys = leafKeys;
  }

  /** The authority of this host, made when it has none. @throws when one of its two files is missing or not of the other */
  static async open({ egressKey, egressCertificate }: AuthorityFiles): Promise<CertificateAuthority> {
    const [key, certificate] = await Promise.all([readIfExists(egressKey), readIfExists(egressCertificate)]);
    if (key === null || certificate === null) {
      // The certificate is written last: a key alone was never trusted by anybody.
      if (certificate !== null)
        throw new Error(`${egressKey} is gone: restore it, or remove ${egressCertificate} to make both anew`);
      const made = await generateRsa();
      const issued = issue({ name: authorityName(), subjectKey: made.publicKey, key: made.privateKey, issuer: null });
      await writeAtomically(egressKey, made.privateKey);
      await writeAtomically(egressCertificate, issued);
      return new CertificateAuthority(made.privateKey, issued, await generateRsa());
    }
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
      throw new Error(
        `${egressKey} is not the key of ${egressCertificate}: restore the right one, or remove both to make them anew`,
      );
    }
    return new CertificateAuthority(key, certificate, await generateRsa());
  }

  /** What a TLS server presents as this host. */
  contextFor(host: CanonicalHost): SecureContext {
    const known = this.#leaves.get(host);
    if (known && Date.now() - known.madeAt < RENEW_AFTER_MS) return known.context;
    const { publicKey, privateKey } = this.#leafKeys;
    const cert = issue({ name: host, subjectKey: publicKey, key: this.#key, issuer: this.certificate });
    const context = tls.createSecureContext({ key: privateKey, cert, minVersion: 'TLSv1.2' });
    this.#leaves.delete(host);
    this.#leaves.set(host, { context, madeAt: Date.now() });
    const [oldest] = this.#leaves.keys();
    if (this.#leaves.size > LEAVES_MAX && oldest) this.#leaves.delete(oldest);
    return context;
  }
}

function authorityName(): string {
  return `Warren egress ${randomBytes(4).toString('hex')}`;
}

async function generateRsa(): Promise<KeyPair> {
  return generateKeyPair('rsa', {
    modulusLength: KEY_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

type Issue = {
  /** Of the authority, or the host. */
  name: string;
  subjectKey: string;
  /** Signs it. */
  key: string;
  /** PEM; null for the authority itself. */
  issuer: string | null;
};

function issue({ name, subjectKey, key, issuer }: Issue): string {
  const isAuthority = issuer === null;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(subjectKey);
  // Positive, and never the same twice.
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
  const now = Date.now();
  certificate.validity.notBefore = new Date(now - DAY_MS);
  certificate.validity.notAfter = new Date(now + (isAuthority ? AUTHORITY_YEARS * 365 : LEAF_DAYS) * DAY_MS);
  // A name has at most 64 characters there; what counts for a host is the alternative name.
  const subject = [{ name: 'commonName', value: isAuthority ? name : 'Warren egress' }];
  certificate.setSubject(subject);
  certificate.setIssuer(isAuthority ? subject : forge.pki.certificateFromPem(issuer).subject.attributes);
  certificate.setExtensions(
    isAuthority
      ? [
          { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
          { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
          { name: 'subjectKeyIdentifier' },
        ]
      : [
          { name: 'basicConstraints', cA: false, critical: true },
          { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
          { name: 'extKeyUsage', serverAuth: true },
          { name: 'subjectAltName', altNames: [{ type: 2, value: name }] },
        ],
  );
  const signer = { sign: () => signNatively(certificate, key) };
  certificate.sign(signer as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}

/** forge's own signing is JavaScript, and would hold up every machine's traffic for as long. */
function signNatively(certificate: forge.pki.Certificate, key: string): string {
  const { tbsCertificate } = certificate as unknown as { tbsCertificate: forge.asn1.Asn1 };
  return sign('sha256', Buffer.from(forge.asn1.toDer(tbsCertificate).getBytes(), 'latin1'), key).toString('latin1');
}
