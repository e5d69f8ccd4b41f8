import { rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Repository } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Clock } from '../clock.ts';
import { type Db, withOrg } from '../db.ts';
import { AppError } from '../errors.ts';
import { git, identityEnv } from '../forge/git.ts';
import { repositoryDir } from '../forge/layout.ts';
import { newId } from '../ids.ts';

export type CreateRepositoryDeps = { db: Db; forgeDir: string; clock: Clock };

/** Its files become the first commit of repositories made with content `sample`. Every process starts in the checkout. */
const SAMPLE_DIR = resolve(/* turbopackIgnore: true */ process.cwd(), 'e2e', 'demo-repository');

export type CreateRepositoryInput = { orgId: string; userId: string; name: string; content: 'sample' | 'empty' };

/**
 * Makes a repository on the built-in forge: the bare repository first, the row last, so that a row always has its
 * repository. `empty` has no commits: sessions need one and say so.
 *
 * @throws AppError `bad_request` for a name without letters or digits, `conflict` when the organization has one of that name
 */
export async function createRepository(deps: CreateRepositoryDeps, input: CreateRepositoryInput): Promise<Repository> {
  const slug = slugOf(input.name);
  if (!slug) throw new AppError('bad_request', { publicMessage: 'A repository’s name needs at least one letter or digit.' });
  const taken = await withOrg(deps.db, input.orgId, (tx) => tx.repository.findFirst({ where: { slug } }));
  if (taken) throw nameTaken(slug);
  const id = newId('repository');
  const dir = repositoryDir(deps.forgeDir, input.orgId, id);
  await makeBareRepository(dir, input.content, deps.clock.now());
  try {
    return await withOrg(deps.db, input.orgId, async (tx) => {
      const repository = await tx.repository.create({
        data: { id, orgId: input.orgId, slug, name: input.name.trim(), provider: 'builtin' },
      });
      await recordAudit(tx, {
        orgId: input.orgId,
        actor: input.userId,
        action: 'repository.created',
        target: id,
        details: { slug },
      });
      return repository;
    });
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    if ((error as { code?: string }).code === 'P2002') throw nameTaken(slug);
    throw error;
  }
}

function nameTaken(slug: string): AppError {
  return new AppError('conflict', {
    publicMessage: `There is already a repository ${slug} in this organization. Choose another name.`,
  });
}

/** `My Shop!` becomes `my-shop`. Empty when nothing is left. */
export function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-');
  return plain
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 60)
    .replace(/-+$/, '');
}

/** Built beside its final place and renamed: a repository is there completely or not at all. */
async function makeBareRepository(dir: string, content: 'sample' | 'empty', now: Date): Promise<void> {
  const building = `${dir}.new`;
  await rm(building, { recursive: true, force: true });
  await git(['init', '--quiet', '--bare', '--initial-branch=main', '--template=', '--', building]);
  if (content === 'sample') await commitSample(building, now);
  await rename(building, dir);
}

async function commitSample(gitDir: string, now: Date): Promise<void> {
  const date = now.toISOString();
  const options = {
    gitDir,
    env: {
      GIT_WORK_TREE: SAMPLE_DIR,
      GIT_INDEX_FILE: join(gitDir, 'sample.index'),
      ...identityEnv({ name: 'Warren', email: 'warren@localhost' }, date),
    },
  };
  await git(['add', '--all', '--', '.'], options);
  const tree = (await git(['write-tree'], options)).trim();
  const commit = (await git(['commit-tree', '-m', 'Sell tea and jam', '--end-of-options', tree], options)).trim();
  await git(['update-ref', 'refs/heads/main', commit, ''], options);
  await rm(options.env.GIT_INDEX_FILE);
}
