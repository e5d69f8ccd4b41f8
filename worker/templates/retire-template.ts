import type { Template } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import { publishNotice } from '../../server/realtime/publish.ts';
import { requestTemplate } from '../../server/templates/request-template.ts';
import type { WorkerDeps } from '../deps.ts';

/**
 * Nothing can be forked from this template any more: it was made by another version of Warren or QEMU, under another
 * accelerator, or signed with another key. It makes way for one that is built anew, which is asked for here.
 */
export async function retireTemplate(
  deps: WorkerDeps,
  { id, orgId, repositoryId, commitSha }: Pick<Template, 'id' | 'orgId' | 'repositoryId' | 'commitSha'>,
  reason: string,
): Promise<void> {
  deps.log.warn({ event: 'template.unusable', templateId: id, reason }, 'template retired');
  await withOrg(deps.db, orgId, async (tx) => {
    await tx.template.updateMany({ where: { id, state: 'ready' }, data: { state: 'retired' } });
    publishNotice(tx, { kind: 'repository', orgId, repositoryId });
  });
  await requestTemplate(deps, { orgId, repositoryId, commitSha });
}
