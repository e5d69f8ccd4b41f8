import ssh2 from 'ssh2';
import { describe, expect, it } from 'vitest';
import { newHostKey } from './host-key.ts';

/** As ssh2 makes it when the public key begins with a zero. Proves nothing anywhere. */
const CUT_SHORT = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMgAAAAtz
c2gtZWQyNTUxOQAAAB+etyQ+Xp+As/KwW4DPaXvZip/nq+Y6OoxeaNCybM58AAAA
iKTh99qk4ffaAAAAC3NzaC1lZDI1NTE5AAAAH563JD5en4Cz8rBbgM9pe9mKn+er
5jo6jF5o0LJsznwAAAA/v3ZNIommeJU51Z3NEctJWH+LE2H9868MTQxNtSiEx6qe
tyQ+Xp+As/KwW4DPaXvZip/nq+Y6OoxeaNCybM58AAAAAAECAwQFBgc=
-----END OPENSSH PRIVATE KEY-----
`;

describe('newHostKey', () => {
  it('never is a key that nothing can read', () => {
    const made = [CUT_SHORT, CUT_SHORT, ssh2.utils.generateKeyPairSync('ed25519').private];
    const key = newHostKey(() => made.shift() ?? '');
    expect(ssh2.utils.parseKey(CUT_SHORT)).toBeInstanceOf(Error);
    expect(ssh2.utils.parseKey(key)).not.toBeInstanceOf(Error);
  });
});
