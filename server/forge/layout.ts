import { join } from 'node:path';

/*
 * Every path of the forge. Ids come from our own database, yet the alphabet is checked again here: nothing a person or a
 * machine typed can ever become part of a path.
 */
const ID = /^[a-z]{3}_[a-z0-9]{1,40}$/;

/** The bare repository's directory: `<forgeDir>/<orgId>/<repositoryId>.git`. */
export function repositoryDir(forgeDir: string, orgId: string, repositoryId: string): string {
  if (!ID.test(orgId) || !ID.test(repositoryId)) throw new Error('not an id of an organization or repository');
  return join(forgeDir, orgId, `${repositoryId}.git`);
}
