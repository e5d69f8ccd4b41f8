import type { Prisma } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';

/** Slugs that are also the first part of a page's path. */
const RESERVED_SLUGS = new Set([
  'api',
  'git',
  'sign-in',
  'sign-up',
  'new',
  'healthz',
  'socket',
  'settings',
  'account',
  'docs',
  '_next',
]);
const SLUG_CHARS_MAX = 40;

/** `Acme & Söhne` -> `acme-sohne`; never empty, never the name of a page. */
export function slugify(name: string): string {
  const slug = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, SLUG_CHARS_MAX)
    .replace(/-+$/, '');
  if (slug === '') return 'org';
  return RESERVED_SLUGS.has(slug) ? `${slug}-org` : slug;
}

/** `acme`, then `acme-2`, and so on: the names to try in turn, as other organizations' slugs cannot be read. */
export function slugCandidate(name: string, attempt: number): string {
  return attempt === 0 ? slugify(name) : `${slugify(name)}-${attempt + 1}`;
}

export type NewOrganization = { orgId: string; name: string; slug: string; ownerId: string; policy?: Prisma.InputJsonObject };

/**
 * Creates an organization with its owner. Runs inside `withOrg(db, orgId, …)` with the new organization's own id.
 *
 * @throws Prisma's unique violation when the slug is taken
 */
export async function createOrganization(tx: Tx, { orgId, name, slug, ownerId, policy }: NewOrganization): Promise<void> {
  await tx.organization.create({ data: { id: orgId, name, slug, policy: policy ?? {} } });
  await tx.member.create({ data: { id: newId('member'), orgId, userId: ownerId, role: 'owner' } });
  await recordAudit(tx, { orgId, actor: ownerId, action: 'org.created', target: orgId });
}
