import type { Check, Machine, Template } from '../../prisma/generated/client.ts';
import { type CheckOutcome, finishCheck } from '../../server/checks/finish-check.ts';
import { startCheck } from '../../server/checks/start-check.ts';
import { withOrg } from '../../server/db.ts';
import { repositoryDir } from '../../server/forge/layout.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import { findReadyTemplate } from '../../server/templates/find-ready-template.ts';
import { setupInputsAt } from '../../server/templates/setup-inputs.ts';
import type { WorkerDeps } from '../deps.ts';
import { checkoutCommit } from '../guest/prepare-workspace.ts';
import { runLogged } from '../guest/run-logged.ts';
import type { Guest } from '../guest/run-script.ts';
import { insertMachine, removeMachine, startMachine } from '../machines/open-machine.ts';
import { describeFailure, isRetryable } from '../sessions/describe-failure.ts';
import { StepError } from '../sessions/driver.ts';
import { retireTemplate } from '../templates/retire-template.ts';

export const CHECK_MS_MAX = 15 * 60_000;
const SETUP_MS_MAX = 15 * 60_000;

export type CheckRef = { orgId: string; checkId: string };

/**
 * Runs one check of a commit in a machine of its own, forked from the repository's template: nothing of the session's
 * machine can make it pass. The machine is removed whatever happens. A run that begins while another goes on (its worker was
 * not heard of for a while, or is ending) takes the check over: the other's machine goes, and what it still says counts no more.
 *
 * @throws HostError worth another try, and only that; every other trouble is the check's outcome `errored`
 */
export async function runCheck(deps: WorkerDeps, ref: CheckRef): Promise<void> {
  const check = await withOrg(deps.db, ref.orgId, (tx) => tx.check.findUnique({ where: { id: ref.checkId } }));
  if (!check || (check.state !== 'queued' && check.state !== 'running')) return;
  const run: Run = { check, machine: null };
  let outcome: CheckOutcome | null;
  try {
    outcome = await runInMachine(deps, run);
  } catch (error) {
    if (isRetryable(error)) throw error;
    outcome = erroredOutcome(error);
    deps.log.warn({ event: 'check.errored', checkId: check.id, err: error }, 'check could not be run');
  } finally {
    if (run.machine) {
      await removeMachine(deps, run.machine).catch((error: unknown) => {
        deps.log.warn({ event: 'machine.not_removed', checkId: check.id, err: error }, 'left to the reaper');
      });
    }
  }
  const machineId = run.machine?.id ?? check.machineId;
  if (outcome) await finishCheck(deps.db, { ...ref, outcome, machineId, now: deps.clock.now() });
}

/** `machine` once the check is this run's. */
type Run = { check: Check; machine: Machine | null };

/** What a person reads when a check could not be run at all. */
export function erroredOutcome(error: unknown): CheckOutcome {
  const { title, detail, nextStep } = describeFailure('The check’s machine failed', error);
  return { kind: 'errored', reason: [title, detail.slice(0, 1000), nextStep].filter(Boolean).join('\n'), log: detail };
}

/** Of earlier runs. */
async function removeOthers(deps: WorkerDeps, { id, orgId, checkId }: Machine): Promise<void> {
  const where = { checkId, endedAt: null, id: { not: id } };
  const live = await withOrg(deps.db, orgId, (tx) => tx.machine.findMany({ where }));
  for (const machine of live) await removeMachine(deps, machine);
}

/** Null when the check was superseded meanwhile. */
async function runInMachine(deps: WorkerDeps, run: Run): Promise<CheckOutcome | null> {
  const { check } = run;
  const { orgId, repositoryId } = check;
  const template = await withOrg(deps.db, orgId, (tx) => findReadyTemplate(tx, repositoryId));
  if (!template)
    throw new StepError(
      'There is no template to run the check in',
      'The repository has no ready template.',
      'Rebuild the template, then run the check again.',
    );
  const owner = { checkId: check.id };
  const hostId = template.hostId!;
  const machine = await withOrg(deps.db, orgId, (tx) => insertMachine(tx, { orgId, hostId, lease: 1, purpose: 'check', owner }));
  if (!(await startCheck(deps.db, { orgId, checkId: check.id, machineId: machine.id, now: deps.clock.now() }))) return null;
  run.machine = machine;
  await removeOthers(deps, machine);
  const source = { kind: 'fork' as const, snapshotId: template.snapshotId! };
  const { host, ms } = await startMachine(deps, { machine, source }).catch(async (error: unknown) => {
    if (!isHostError(error, 'incompatible')) throw error;
    await retireTemplate(deps, template, error.message);
    throw new StepError(
      'The template can no longer be used',
      error.message,
      'It is being built anew. Run the check again when it is ready.',
    );
  });
  const guest: Guest = { host, machineId: machine.id };
  await checkoutCommit(guest, check.commitSha);
  await renewSetup(deps, guest, template, check);
  const result = await runLogged(guest, { name: 'check', command: check.command, timeoutMs: CHECK_MS_MAX });
  deps.log.info(
    { event: 'check.ran', checkId: check.id, exitCode: result.exitCode, durationMs: result.durationMs, forkMs: ms },
    'check ran',
  );
  const log = result.timedOut ? `${result.log}\nStopped: it took longer than ${CHECK_MS_MAX / 60_000} minutes.\n` : result.log;
  return { kind: 'ran', exitCode: result.exitCode, log };
}

/** A commit that changes set-up or lock files gets its own dependencies, not the template's. */
async function renewSetup(deps: WorkerDeps, guest: Guest, template: Template, check: Check): Promise<void> {
  const gitDir = repositoryDir(deps.forgeDir, check.orgId, check.repositoryId);
  const [made, wanted] = await Promise.all([setupInputsAt(gitDir, template.commitSha), setupInputsAt(gitDir, check.commitSha)]);
  if (!wanted.ok)
    throw new StepError('The environment of this commit cannot be read', wanted.problem, 'Correct the file and push again.');
  if (made.ok && made.inputs.fingerprint === wanted.inputs.fingerprint) return;
  for (const [index, command] of wanted.inputs.environment.setup.entries()) {
    const result = await runLogged(guest, { name: `setup-${index + 1}`, command, timeoutMs: SETUP_MS_MAX });
    if (result.exitCode !== 0) {
      throw new StepError(
        `Set-up step ${index + 1} of this commit failed`,
        `$ ${command}\n${result.log.slice(-4000)}`,
        'Correct the set-up and push again.',
      );
    }
  }
}
