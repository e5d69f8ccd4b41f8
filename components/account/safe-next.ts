const HERE = new URL('http://warren.invalid');

/**
 * Where to go after signing in: a path of ours, never another site's address. Read by the URL parser, as browsers do: it drops
 * tabs and line breaks and takes a backslash for a slash, so what looks like a path may name a host.
 *
 * @param next as the query has it: more than one when the address repeats it
 */
export function safeNext(next: string | string[] | undefined): string {
  if (typeof next !== 'string' || !next.startsWith('/')) return '/';
  const url = URL.parse(next, HERE);
  // A path that begins with two slashes, as of `/.//host`, would be a host to whoever resolves it again.
  if (url?.origin !== HERE.origin || url.pathname.startsWith('//')) return '/';
  return url.pathname + url.search + url.hash;
}
