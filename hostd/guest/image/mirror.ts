/** Debian's archives that images and machines take packages from. */
export const ARCHIVES = ['debian', 'debian-security'] as const;
export type Archive = (typeof ARCHIVES)[number];

/** `{archive}` stands for the archive's name, so that a mirror of dated states fits as well: `http://…/{archive}/20261101T000000Z`. */
export const DEBIAN_MIRROR = 'http://deb.debian.org/{archive}';

export function archiveUrl(mirror: string, archive: Archive): string {
  return mirror.replaceAll('{archive}', archive);
}

/** The name under which machines reach an archive through the proxy. */
export function archiveHost(archive: Archive): string {
  return `${archive}.warren.internal`;
}

/** Lines for apt's sources.list. */
export function sourcesList(suite: string, urlOf: (archive: Archive) => string): string[] {
  return [
    `deb ${urlOf('debian')} ${suite} main`,
    `deb ${urlOf('debian')} ${suite}-updates main`,
    `deb ${urlOf('debian-security')} ${suite}-security main`,
  ];
}
