/** Warren's three roles: who owns the tables, who web and worker are, and who sweeps over all organizations. */
export const ROLES = { owner: 'warren_owner', app: 'warren_app', system: 'warren_system' } as const;

export type DatabasePasswords = { owner: string; app: string; system: string };
export type DatabaseUrls = { ownerUrl: string; appUrl: string; systemUrl: string };

/** The three connection strings, without touching the database. @param base any connection string of the same server */
export function databaseUrls(
  base: string,
  { databaseName, passwords }: { databaseName: string; passwords: DatabasePasswords },
): DatabaseUrls {
  const url = (key: keyof DatabasePasswords) => urlFor(base, { databaseName, user: ROLES[key], password: passwords[key] });
  return { ownerUrl: url('owner'), appUrl: url('app'), systemUrl: url('system') };
}

export function urlFor(base: string, parts: { databaseName: string; user?: string; password?: string }): string {
  const url = new URL(base);
  url.pathname = `/${parts.databaseName}`;
  if (parts.user) url.username = parts.user;
  if (parts.password) url.password = encodeURIComponent(parts.password);
  return url.toString();
}
