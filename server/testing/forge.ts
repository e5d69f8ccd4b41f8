import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import type { Repository, Session } from '../../prisma/generated/client.ts';
import { systemClock } from '../clock.ts';
import { withOrg } from '../db.ts';
import type { GatewayDeps } from '../gateway/handle-models.ts';
import { type GrantPurpose, type MachineGrant, signGrant } from '../grants.ts';
import { newId } from '../ids.ts';
import { createInternalHandler } from '../internal/listener.ts';
import { createLogger } from '../logger.ts';
import { createRepository } from '../repositories/create-repository.ts';
import type { TestDatabase } from './database.ts';
import { aSession, type TestOrg } from './fixtures.ts';

const run = promisify(execFile);
const GRANT_SECRET = 'grants-of-the-test-suite';

export type GitRun = { ok: boolean; stdout: string; stderr: string };

/** A clone on this computer, as a machine would hold it. */
export type TestClone = {
  dir: string;
  git: (...args: string[]) => Promise<GitRun>;
  /** Writes files, commits, and returns the commit. */
  commit: (files: Record<string, string>, subject?: string) => Promise<string>;
};

/** The internal listener on a free port over real bare repositories, and real git clients to use it with. */
export function setUpForge({ db }: TestDatabase, gateway: Partial<Pick<GatewayDeps, 'models' | 'relay'>> = {}) {
  const clock = systemClock;
  const logger = createLogger({ service: 'test', level: 'silent' });
  const forge = { forgeDir: '', url: '', clock, logger, db };
  const server = createServer((req, res) =>
    createInternalHandler({
      db,
      forgeDir: forge.forgeDir,
      grantSecret: GRANT_SECRET,
      clock,
      logger,
      models: { kind: 'demo', model: 'warren-demo' },
      ...gateway,
    })(req, res),
  );
  beforeAll(async () => {
    forge.forgeDir = await mkdtemp(path.join(tmpdir(), 'warren-forge-'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    forge.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await rm(forge.forgeDir, { recursive: true, force: true });
  });

  const aSample = (org: TestOrg, name = 'Corner shop', content: 'sample' | 'empty' = 'sample'): Promise<Repository> =>
    createRepository(forge, { orgId: org.orgId, userId: org.ownerId, name, content });

  /** The authorization header of a live machine, and its row. */
  const aMachine = async (org: TestOrg, repositoryId: string, set: Partial<MachineGrant> & { purpose: GrantPurpose }) => {
    const machineId = newId('machine');
    await withOrg(db, org.orgId, (tx) =>
      tx.machine.create({
        data: {
          id: machineId,
          orgId: org.orgId,
          hostId: newId('host'),
          purpose: set.purpose,
          sessionId: set.sessionId,
          lease: 1,
        },
      }),
    );
    const exp = Math.floor(clock.now().getTime() / 1000) + 600;
    const grant: MachineGrant = { orgId: org.orgId, repositoryId, machineId, lease: 1, exp, ...set };
    return { machineId, authorization: `Bearer ${signGrant(GRANT_SECRET, grant)}` };
  };

  const clone = async (org: TestOrg, repository: Repository, authorization: string): Promise<TestClone & GitRun> => {
    const dir = path.join(await mkdtemp(path.join(forge.forgeDir, 'clone-')), 'workspace');
    const config = [
      '-c',
      `http.extraHeader=authorization: ${authorization}`,
      '-c',
      'user.name=Agent',
      '-c',
      'user.email=agent@localhost',
    ];
    const env = {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
    };
    const gitIn = (cwd: string | undefined, args: string[]): Promise<GitRun> =>
      run('git', [...config, ...args], { cwd, env: env as unknown as NodeJS.ProcessEnv }).then(
        ({ stdout, stderr }) => ({ ok: true, stdout, stderr }),
        (error: { stdout?: string; stderr?: string; message: string }) => ({
          ok: false,
          stdout: error.stdout ?? '',
          stderr: error.stderr ?? error.message,
        }),
      );
    const cloned = await gitIn(undefined, ['clone', '-q', `${forge.url}/git/${org.slug}/${repository.slug}.git`, dir]);
    const git = (...args: string[]) => gitIn(dir, args);
    const commit = async (files: Record<string, string>, subject = 'A change') => {
      for (const [name, text] of Object.entries(files)) await writeFile(path.join(dir, name), text);
      await git('add', '-A');
      await git('commit', '-q', '-m', subject);
      return (await git('rev-parse', 'HEAD')).stdout.trim();
    };
    return { dir, git, commit, ...cloned };
  };

  /** A session with a live machine and a clone on its own branch. */
  const aWorkingSession = async (org: TestOrg, repository: Repository, set: Partial<Session> = {}) => {
    const session = await aSession(db, org, { repositoryId: repository.id, ...set } as Parameters<typeof aSession>[2]);
    const machine = await aMachine(org, repository.id, { purpose: 'session', sessionId: session.id, branch: session.branch });
    const workspace = await clone(org, repository, machine.authorization);
    await workspace.git('checkout', '-q', '-b', session.branch);
    return { session, machine, workspace };
  };

  return { forge, aSample, aMachine, clone, aWorkingSession };
}
