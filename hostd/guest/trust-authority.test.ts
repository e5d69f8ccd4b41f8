import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { egressPolicySchema } from '../contract/egress.ts';
import { needsAuthority, TRUST_ENV } from './trust-authority.ts';

const ROOTFS = path.join(import.meta.dirname, 'image', 'rootfs');

describe('trust in inspected hosts', () => {
  it.each(['etc/environment', 'etc/warren/sshd_config', 'etc/systemd/system.conf.d/warren.conf'])(
    'is in the image’s %s, so that every program finds the certificate authority',
    async (file) => {
      const text = await readFile(path.join(ROOTFS, file), 'utf8');
      for (const [name, value] of Object.entries(TRUST_ENV)) expect(text).toContain(`${name}=${value}`);
    },
  );

  it('survives sudo', async () => {
    const text = await readFile(path.join(ROOTFS, 'etc/sudoers.d/warren'), 'utf8');
    for (const name of Object.keys(TRUST_ENV)) expect(text).toContain(name);
  });

  it('is asked of a machine only when a rule inspects', () => {
    const policy = (mode: 'splice' | 'inspect') =>
      egressPolicySchema.parse({ services: [], allow: [{ host: 'a.example', ports: [443], mode }] });
    expect([needsAuthority(policy('splice')), needsAuthority(policy('inspect'))]).toEqual([false, true]);
  });
});
