import type { Machine, Prisma, Template } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import { environmentSchema } from '../../server/environments/environment.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import { replicationOf } from '../../server/hosts/store-key.ts';
import { publishNotice } from '../../server/realtime/publish.ts';
import type { WorkerDeps } from '../deps.ts';
import { cloneWorkspace, originUrl } from '../guest/prepare-workspace.ts';
import { runLogged } from '../guest/run-logged.ts';
import type { Guest } from '../guest/run-script.ts';
import { insertMachine, removeMachine, snapshotIdOf, startMachine } from '../machines/open-machine.ts';
import { describeFailure, isRetryable } from '../sessions/describe-failure.ts';
import { StepError } from '../sessions/driver.ts';
import { ensureImage } from './ensure-image.ts';
import { installPackages } from './install-packages.ts';
import { withInstructions } from './instructions.ts';
import { type StartedAgent, startAgent } from './start-agent.ts';
import { TemplateLog } from './template-log.ts';

const SETUP_MS_MAX = 30 * 60_000;

/**
 * Builds a repository's template: a machine booted from the image, cloned, set up, with the agent started and
 * introduced, put to sleep. Its snapshot is what sessions and checks fork from. A build that an earlier worker did not
 * finish is thrown away and begun again; should that one go on after all, it has nothing more to say.
 *
 * @throws HostError worth another try, and only that; every other failure is settled in the template's row
 */
export async function buildTemplate(deps: WorkerDeps, ref: { orgId: string; templateId: string }): Promise<void> {
  const template = await withOrg(deps.db, ref.orgId, (tx) => tx.template.findUnique({ where: { id: ref.templateId } }));
  if (template?.state !== 'building') return;
  const log = new TemplateLog(deps, template);
  const mine: Mine = { machine: null };
  try {
    await build(deps, template, log, mine);
  } catch (error) {
    if (mine.machine && (await isTakenOver(deps, mine.machine))) return;
    await log.flush();
    if (isRetryable(error)) throw error;
    await settleTemplateFailure(deps, template, error);
  }
}

/** For a build whose last try failed: says so in its row, so that nobody waits for it. */
export async function settleTemplateFailure(
  deps: WorkerDeps,
  template: Pick<Template, 'id' | 'orgId' | 'repositoryId'>,
  error: unknown,
) {
  deps.log.warn({ event: 'template.failed', templateId: template.id, err: error }, 'template build failed');
  const { title, detail, nextStep } = describeFailure('The template could not be built', error);
  const failure = [title, detail, nextStep].filter(Boolean).join('\n');
  await withOrg(deps.db, template.orgId, async (tx) => {
    await tx.template.updateMany({ where: { id: template.id, state: 'building' }, data: { state: 'failed', failure } });
    publishNotice(tx, { kind: 'repository', orgId: template.orgId, repositoryId: template.repositoryId });
  });
  await removeLeftovers(deps, template).catch(() => {});
}

/** Machines of earlier builds; of this one too, where none is given. */
async function removeLeftovers(deps: WorkerDeps, template: Pick<Template, 'id' | 'orgId'>, kept?: Machine): Promise<void> {
  const left = await withOrg(deps.db, template.orgId, (tx) =>
    tx.machine.findMany({ where: { templateId: template.id, endedAt: null, id: { not: kept?.id } } }),
  );
  for (const machine of left) await removeMachine(deps, machine);
}

/** This build's machine, once it has one. */
type Mine = { machine: Machine | null };

/** Another worker has begun the same build since, and removed this one's machine. */
async function isTakenOver(deps: WorkerDeps, { orgId, templateId, createdAt }: Machine): Promise<boolean> {
  const newer = { templateId, createdAt: { gt: createdAt } };
  return (await withOrg(deps.db, orgId, (tx) => tx.machine.count({ where: newer }))) > 0;
}

async function build(deps: WorkerDeps, template: Template, log: TemplateLog, mine: Mine): Promise<void> {
  const { orgId, repositoryId, commitSha } = template;
  const environment = environmentSchema.parse(template.environment);
  const origin = await withOrg(deps.db, orgId, async (tx) => {
    const org = await tx.organization.findUniqueOrThrow({ where: { id: orgId } });
    const repository = await tx.repository.findUniqueOrThrow({ where: { id: repositoryId } });
    return originUrl(org.slug, repository.slug);
  });
  const { hostId } = await deps.hosts.place(environment.size);
  // First, because it may take minutes and needs no machine.
  await ensureImage(deps, hostId, environment.image, log);
  const owner = { templateId: template.id };
  const machine = await withOrg(deps.db, orgId, (tx) =>
    insertMachine(tx, { orgId, hostId, lease: 1, purpose: 'template', owner }),
  );
  mine.machine = machine;
  await removeLeftovers(deps, template, machine);

  const source = { kind: 'image', variant: environment.image } as const;
  const { host, view } = await timed(log, `Boot the image ${environment.image}`, () =>
    startMachine(deps, { machine, source, size: environment.size }),
  );
  log.line(`  ${view.accelerator === 'tcg' ? 'emulated' : 'hardware'} machine, ${JSON.stringify(view.timingsMs)}`);
  const guest: Guest = { host, machineId: machine.id };
  await timed(log, `Clone ${commitSha.slice(0, 10)}`, () => cloneWorkspace(guest, origin, commitSha));
  if (environment.packages.length > 0)
    await timed(log, `Install ${environment.packages.join(' ')}`, () => installPackages(guest, environment.packages, log));
  for (const [index, command] of environment.setup.entries())
    await timed(log, `$ ${command}`, () => setUp(guest, index, command, log));
  const started = await timed(log, `Start the agent ${deps.agent.name}`, () =>
    startAgent(guest, withInstructions(deps.agent, environment.image), deps.patience.agentReplyMs),
  );
  log.line(
    `  ${started.agent.name} ${started.agent.version ?? ''}: start ${started.startMs} ms, initialize ${started.initializeMs} ms, conversation ${started.sessionMs} ms`,
  );
  await log.flush();
  await sleepAsTemplate(deps, { template, machine, host, hostId, started });
  log.line('Ready.');
  await log.flush();
  deps.log.info({ event: 'template.ready', templateId: template.id, agentInitializeMs: started.initializeMs }, 'template ready');
}

async function setUp(guest: Guest, index: number, command: string, log: TemplateLog): Promise<void> {
  const result = await runLogged(guest, {
    name: `setup-${index + 1}`,
    command,
    timeoutMs: SETUP_MS_MAX,
    onOutput: (text) => log.add(text),
  });
  if (result.exitCode === 0) return;
  const ending = result.timedOut
    ? `took longer than ${SETUP_MS_MAX / 60_000} minutes`
    : `ended with exit code ${result.exitCode}`;
  throw new StepError(
    `Set-up step ${index + 1} ${ending}`,
    `$ ${command}\n${result.log.slice(-4000)}`,
    'Correct the set-up in .warren/environment.yaml, push it, and rebuild the template.',
  );
}

type Finished = {
  template: Template;
  machine: { id: string; lease: number };
  host: HostClient;
  hostId: string;
  started: StartedAgent;
};

/** Suspends the machine and makes the template what new machines fork from, in place of older ones of its repository. */
async function sleepAsTemplate(deps: WorkerDeps, { template, machine, host, hostId, started }: Finished): Promise<void> {
  const snapshotId = snapshotIdOf(machine.id);
  const { snapshot, releasedMs } = await host.suspend(machine.id, {
    lease: machine.lease,
    snapshotId,
    replicate: replicationOf(deps.storeSecrets, template.orgId, template.repositoryId),
  });
  const now = deps.clock.now();
  const { orgId, repositoryId } = template;
  await withOrg(deps.db, orgId, async (tx) => {
    await tx.machine.update({ where: { id: machine.id }, data: { endedAt: now, endedHow: 'suspended' } });
    await tx.snapshot.create({
      data: {
        id: snapshotId,
        orgId,
        hostId,
        machineId: machine.id,
        templateId: template.id,
        manifest: snapshot.manifest,
        storedBytes: BigInt(snapshot.storedBytes),
        releasedMs,
        agentOffset: BigInt(started.offset),
      },
    });
    await tx.template.update({
      where: { id: template.id },
      data: {
        state: 'ready',
        hostId,
        snapshotId,
        agent: started.agent as Prisma.InputJsonObject,
        agentOffset: BigInt(started.offset),
        readyAt: now,
      },
    });
    await tx.template.updateMany({
      where: { repositoryId, state: 'ready', id: { not: template.id }, createdAt: { lt: template.createdAt } },
      data: { state: 'retired' },
    });
    publishNotice(tx, { kind: 'repository', orgId, repositoryId });
  });
}

async function timed<T>(log: TemplateLog, label: string, run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  log.line(label);
  const value = await run();
  log.line(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return value;
}
