/**
 * Signs in with a password; the reply sets the cookie.
 *
 * @returns null, or what to tell the person
 */
export async function signInWithPassword(email: string, password: string): Promise<string | null> {
  const reply = await fetch('/api/auth/password', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  }).catch(() => null);
  if (!reply) return 'Warren did not answer. Check your connection and try again.';
  if (reply.ok) return null;
  const body = (await reply.json().catch(() => null)) as { error?: { message?: string } } | null;
  return body?.error?.message ?? `Signing in failed (status ${reply.status}). Try again.`;
}
