import type { Template } from '../../prisma/generated/client.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { repositoryDir } from '../forge/layout.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { publishNotice } from '../realtime/publish.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { type SetupInputs, setupInputsAt } from './setup-inputs.ts';

export type RequestTemplateDeps = { db: Db; forgeDir: string };
export type RequestTemplateInput = {
  orgId: string;
  repositoryId: string;
  /** The commit the machine is wanted for; the default branch's head when absent. */
  commitSha?: string;
  /** Build a new one even when a ready one would do. */
  rebuild?: boolean;
};
export type TemplateRef = Pick<Template, 'id' | 'state' | 'commitSha'>;
export type RequestTemplateResult =
  | { ok: true; template: TemplateRef; requested: boolean }
  /** The repository has no commits yet, or its environment file does not parse; `problem` is for people. */
  | { ok: false; reason: 'no_commits' | 'bad_environment'; problem: string };

/**
 * The template to fork a machine for this commit from: a ready one made from the same set-up, or one being built, or a
 * new one, whose `build-template` job is added here. Waiting for it is the caller's part. Safe to call at any time.
 */
export async function requestTemplate(deps: RequestTemplateDeps, input: RequestTemplateInput): Promise<RequestTemplateResult> {
  const { orgId, repositoryId } = input;
  const gitDir = repositoryDir(deps.forgeDir, orgId, repositoryId);
  const known = await withOrg(deps.db, orgId, async (tx) => ({
    repository: await tx.repository.findUniqueOrThrow({ where: { id: repositoryId } }),
    candidates: await findCandidates(tx, repositoryId),
  }));
  const commitSha = input.commitSha ?? (await findCommit(gitDir, known.repository.defaultBranch));
  if (!commitSha) {
    return {
      ok: false,
      reason: 'no_commits',
      problem: 'The repository has no commits yet. Push one to its default branch first.',
    };
  }
  const read = await setupInputsAt(gitDir, commitSha);
  if (!read.ok) return { ok: false, reason: 'bad_environment', problem: read.problem };

  // Fingerprints are read from git, outside the transaction; the lock below makes two requests agree on one build.
  const same = new Set<string>();
  for (const template of known.candidates) {
    if (await isMadeFrom(gitDir, template, read.inputs)) same.add(template.id);
  }
  return withOrg(deps.db, orgId, async (tx) => {
    await tx.$queryRaw`select 1 from "Repository" where id = ${repositoryId} for no key update`;
    const now = await findCandidates(tx, repositoryId);
    const usable = now.filter(({ id, commitSha: from }) => same.has(id) || from === commitSha);
    const building = usable.find(({ state }) => state === 'building');
    const template = input.rebuild ? building : (usable.find(({ state }) => state === 'ready') ?? building);
    if (template) return { ok: true, template, requested: false };
    return {
      ok: true,
      template: await createTemplate(tx, { orgId, repositoryId, commitSha, inputs: read.inputs }),
      requested: true,
    };
  });
}

function findCandidates(tx: Tx, repositoryId: string): Promise<TemplateRef[]> {
  return tx.template.findMany({
    where: { repositoryId, state: { in: ['ready', 'building'] } },
    orderBy: { createdAt: 'desc' },
    take: 5,
    select: { id: true, state: true, commitSha: true },
  });
}

async function isMadeFrom(gitDir: string, template: TemplateRef, inputs: SetupInputs): Promise<boolean> {
  const made = await setupInputsAt(gitDir, template.commitSha).catch(() => null);
  return made?.ok === true && made.inputs.fingerprint === inputs.fingerprint;
}

type NewTemplate = { orgId: string; repositoryId: string; commitSha: string; inputs: SetupInputs };

async function createTemplate(tx: Tx, { orgId, repositoryId, commitSha, inputs }: NewTemplate): Promise<TemplateRef> {
  const id = newId('template');
  const template = await tx.template.create({
    data: { id, orgId, repositoryId, commitSha, environment: inputs.environment, state: 'building' },
  });
  await enqueue(tx, 'build-template', { orgId, templateId: id });
  publishNotice(tx, { kind: 'repository', orgId, repositoryId });
  return template;
}
