import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';
import type { Message, Repository, Session } from '../../prisma/generated/client.ts';
import { systemClock } from '../../server/clock.ts';
import { withOrg } from '../../server/db.ts';
import { git, identityEnv } from '../../server/forge/git.ts';
import { repositoryDir } from '../../server/forge/layout.ts';
import { FakeHost } from '../../server/hosts/fake/fake-host.ts';
import type { FakeGuest } from '../../server/hosts/fake/fake-machine.ts';
import { FAKE_TOKEN, serveFakeHost } from '../../server/hosts/fake/serve-fake-host.ts';
import { createHostDirectory } from '../../server/hosts/host-directory.ts';
import { createLogger } from '../../server/logger.ts';
import { findCommit } from '../../server/repositories/bare-repository.ts';
import { createRepository } from '../../server/repositories/create-repository.ts';
import { makeKeyring } from '../../server/secrets/keyring.ts';
import { createSession } from '../../server/sessions/create-session.ts';
import { queueMessage } from '../../server/sessions/queue-message.ts';
import type { TestDatabase } from '../../server/testing/database.ts';
import { anOrg, type TestOrg } from '../../server/testing/fixtures.ts';
import type { WorkerDeps } from '../deps.ts';
import { followNotices } from '../runtime/follow-notices.ts';
import { SessionSignals } from '../runtime/session-signals.ts';
import { driveSession } from '../sessions/drive-session.ts';
import { buildTemplate } from '../templates/build-template.ts';
import { FakeAgent } from './fake-agent.ts';

/** One worker process, as far as a test needs it. */
export type TestWorker = { deps: WorkerDeps; kill: () => Promise<void> };

/**
 * A control plane with a real database and real bare repositories, whose host and agent are fakes behind the real wire.
 * Everything is made anew for each test, except the database and the forge's directory.
 */
export function workerRig(test: TestDatabase) {
  const rig = {
    fake: new FakeHost(),
    agent: new FakeAgent(),
    org: null as unknown as TestOrg,
    repository: null as unknown as Repository,
    hostUrl: '',
  };
  let forgeDir = '';
  let served: Awaited<ReturnType<typeof serveFakeHost>>;
  let workers: TestWorker[] = [];
  const running: Promise<void>[] = [];

  beforeAll(async () => {
    forgeDir = await mkdtemp(path.join(tmpdir(), 'warren-worker-'));
  });
  afterAll(() => rm(forgeDir, { recursive: true, force: true }));

  beforeEach(async () => {
    rig.fake = new FakeHost();
    rig.agent = new FakeAgent();
    rig.agent.install(rig.fake);
    served = await serveFakeHost(rig.fake);
    rig.hostUrl = served.url;
    rig.org = await anOrg(test.db, { name: `Acme ${randomUUID().slice(0, 8)}` });
    await setPolicy({ idleSuspendMs: 3_600_000 });
    rig.repository = await createRepository(
      { db: test.db, forgeDir, clock: systemClock },
      { orgId: rig.org.orgId, userId: rig.org.ownerId, name: 'Shop', content: 'sample' },
    );
  });
  afterEach(async () => {
    await Promise.all(workers.map(({ kill }) => kill()));
    await Promise.all(running);
    workers = [];
    await served.close();
  });

  const setPolicy = (policy: object) =>
    withOrg(test.db, rig.org.orgId, (tx) => tx.organization.update({ where: { id: rig.org.orgId }, data: { policy } }));

  /** A worker with little patience. */
  function aWorker(patience: Partial<WorkerDeps['patience']> = {}): TestWorker {
    const signals = new SessionSignals();
    const log = createLogger({ service: 'test', level: 'silent' });
    const notices = followNotices(test.urls.appUrl, signals, log);
    const shutdown = new AbortController();
    const deps: WorkerDeps = {
      db: test.db,
      systemDb: test.systemDb,
      hosts: createHostDirectory({
        systemDb: test.systemDb,
        urls: [rig.hostUrl],
        token: FAKE_TOKEN,
        // Every test makes an organization, and all of them meet on one host.
        weakIsolationAllowed: true,
      }),
      signals,
      clock: systemClock,
      startedAt: new Date(0),
      log,
      agent: { name: 'fake', model: { name: 'demo', scripted: true }, command: 'fake-agent', env: {}, files: [] },
      forgeDir,
      grantSecret: 'grants-of-the-worker-tests-0123456789',
      keyring: makeKeyring('the-key-of-the-tests-0123456789abcdef'),
      storeSecrets: ['copies-of-the-worker-tests-0123456789'],
      internalUrl: 'http://127.0.0.1:1',
      patience: {
        agentSilenceMs: 5000,
        cancelGraceMs: 100,
        agentReplyMs: 2000,
        agentProbeMs: 100,
        retryMs: 10,
        pollMs: 10,
        ...patience,
      },
      shutdown: shutdown.signal,
    };
    const worker: TestWorker = {
      deps,
      kill: async () => {
        shutdown.abort();
        await notices.close();
      },
    };
    workers.push(worker);
    return worker;
  }

  const ref = (session: Session) => ({ orgId: rig.org.orgId, sessionId: session.id });
  const inOrg = <T>(fn: Parameters<typeof withOrg<T>>[2]) => withOrg(test.db, rig.org.orgId, fn);

  const control = {
    rig,
    setPolicy,
    aWorker,
    inOrg,
    async aTask(prompt = 'Make the test pass'): Promise<Session> {
      const baseSha = await findCommit(repositoryDir(forgeDir, rig.org.orgId, rig.repository.id), 'main');
      return inOrg(async (tx) => {
        const org = await tx.organization.findUniqueOrThrow({ where: { id: rig.org.orgId } });
        return createSession(tx, {
          org,
          actor: { userId: rig.org.ownerId, role: 'owner', name: 'Owner' },
          repositoryId: rig.repository.id,
          baseSha: baseSha!,
          prompt,
          model: { name: 'demo', scripted: true },
          agentName: 'fake',
        });
      });
    },
    /** Drives the session in the background until it rests. */
    drive(worker: TestWorker, session: Session): Promise<void> {
      const driving = driveSession(worker.deps, ref(session));
      running.push(driving.catch(() => {}));
      return driving;
    },
    say: (session: Session, text: string) =>
      inOrg((tx) =>
        queueMessage(tx, ref(session), {
          kind: 'message',
          text,
          actor: { kind: 'user', userId: rig.org.ownerId },
          author: { id: rig.org.ownerId, name: 'Owner' },
        }),
      ),
    read: (session: Session): Promise<Session> => inOrg((tx) => tx.session.findUniqueOrThrow({ where: { id: session.id } })),
    messages: (session: Session): Promise<Message[]> =>
      inOrg((tx) => tx.message.findMany({ where: { sessionId: session.id }, orderBy: { seq: 'asc' } })),
    events: async (session: Session) => {
      const rows = await inOrg((tx) => tx.sessionEvent.findMany({ where: { sessionId: session.id }, orderBy: { seq: 'asc' } }));
      return rows.map(({ data }) => data as { kind: string } & Record<string, unknown>);
    },
    async guest(session: Session): Promise<FakeGuest> {
      const { machineId } = await inOrg((tx) => tx.session.findUniqueOrThrow({ where: { id: session.id } }));
      return rig.fake.machine(machineId!).guest;
    },
    /** A commit on the default branch that writes one file. */
    async commitFile(name: string, text: string): Promise<void> {
      const gitDir = repositoryDir(forgeDir, rig.org.orgId, rig.repository.id);
      const env = {
        GIT_INDEX_FILE: path.join(gitDir, 'test.index'),
        ...identityEnv({ name: 'T', email: 't@t' }, new Date().toISOString()),
      };
      const run = async (...args: string[]) => (await git(args, { gitDir, env })).trim();
      const blob = (await git(['hash-object', '-w', '--stdin'], { gitDir, input: text })).trim();
      await run('read-tree', 'main');
      await run('update-index', '--add', '--cacheinfo', `100644,${blob},${name}`);
      const commit = await run('commit-tree', '-p', 'main', '-m', `Write ${name}`, await run('write-tree'));
      await run('update-ref', 'refs/heads/main', commit);
    },
    /** hostd is killed and started again on the same address; its machines go on meanwhile. */
    async restartHost(meanwhile: () => void): Promise<void> {
      const { port } = new URL(rig.hostUrl);
      await served.close();
      meanwhile();
      served = await serveFakeHost(rig.fake, Number(port));
    },
    until: <T>(check: () => Promise<T> | T) => vi.waitFor(check, { timeout: 20_000, interval: 20 }),
  };

  /** Builds whatever template is asked for, as the other queue of the same process would. */
  async function buildAsked(worker: TestWorker): Promise<void> {
    const template = await control.until(() =>
      inOrg((tx) => tx.template.findFirstOrThrow({ where: { repositoryId: rig.repository.id, state: 'building' } })),
    );
    await buildTemplate(worker.deps, { orgId: rig.org.orgId, templateId: template.id });
  }

  /** A session whose first turn has ended. */
  async function aRunningSession(worker = aWorker()) {
    const session = await control.aTask();
    const driving = control.drive(worker, session);
    await buildAsked(worker);
    await control.until(() => inOrg((tx) => tx.message.findFirstOrThrow({ where: { sessionId: session.id, state: 'done' } })));
    return { worker, session, driving };
  }

  return { ...control, buildAsked, aRunningSession };
}
