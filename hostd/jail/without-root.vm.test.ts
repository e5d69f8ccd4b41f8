import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoVms } from '../machines/testing/vm-host.ts';
import { layoutOf } from '../storage/layout.ts';

const run = promisify(execFile);
/** Nobody's, and not in the range of machines. */
const USER = { uid: 61_999, gid: 61_999 };
const PROGRAM = path.join(import.meta.dirname, 'testing', 'without-root.ts');

/** A clone may lie where only its owner gets; then another user cannot run it. */
async function whyNotAsUser(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'only root can become another user';
  return run(process.execPath, ['--check', PROGRAM], USER).then(
    () => null,
    () => 'this clone cannot be read by other users',
  );
}
const reason = (await whyNoVms()) ?? (await whyNotAsUser());

describe.skipIf(reason !== null)(`hostd without root${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let dir: string;
  let found: { lacks: { what: string; found: string }[]; state: string; namespaces: string[]; status: string };

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'warren-without-root-'));
    await chmod(dir, 0o700);
    await chown(dir, USER.uid, USER.gid);
    const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, dir], USER);
    found = JSON.parse(stdout);
  });
  afterAll(async () => {
    const { runDir } = layoutOf(path.join(dir, 'hostd'));
    await rm(runDir.replace(`-${process.getuid?.()}-`, `-${USER.uid}-`), { recursive: true, force: true });
    await rm(dir, { recursive: true, force: true });
  });

  it('runs machines, says that they share its user, and makes them namespaces where the kernel lets it', () => {
    expect(found.state).toBe('empty');
    const whats = found.lacks.map(({ what }) => what);
    expect(found.lacks).toContainEqual(
      expect.objectContaining({ what: 'a user id per machine', found: 'hostd does not run as root' }),
    );
    const hasNamespaces = !whats.includes('namespaces per machine');
    expect(found.namespaces).toEqual(hasNamespaces ? ['mnt', 'pid', 'ipc', 'uts', 'net', 'user'] : []);
  });

  it('leaves them no capability and no way to gain one', () => {
    expect(found.status).toMatch(new RegExp(`^Uid:\\s+${USER.uid}\\s`, 'm'));
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb'])
      expect(found.status).toMatch(new RegExp(`^${set}:\\s+0{16}$`, 'm'));
    expect(found.status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(found.status).toMatch(/^Seccomp:\s+2$/m);
  });
});
