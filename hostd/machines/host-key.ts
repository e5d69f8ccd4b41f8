import ssh2 from 'ssh2';

/**
 * A private SSH host key, as OpenSSH keeps it. ssh2 drops a zero with which a public key begins, one in 256, and nothing reads what
 * is left: such a machine's sshd would never start again.
 */
export function newHostKey(generate: () => string = () => ssh2.utils.generateKeyPairSync('ed25519').private): string {
  for (;;) {
    const key = generate();
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key;
  }
}
