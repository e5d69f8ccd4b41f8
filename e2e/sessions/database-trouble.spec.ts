import { expect, type Page, test } from '@playwright/test';
import { tellTrouble } from '../../server/realtime/trouble.ts';
import { signUp } from '../support/people.ts';
import { createRepository, startSession } from '../support/repositories.ts';

const FULL = 'the disk of Warren’s database is full';

async function orgIdOf(page: Page, org: string): Promise<string> {
  const input = encodeURIComponent(JSON.stringify({ json: { org } }));
  const reply = await page.request.get(`/api/trpc/orgs.get?input=${input}`);
  return (await reply.json()).result.data.json.org.id;
}

/** Only the worker that waits is missing: what it would tell web is told in its place, over the port and with the key that it has. */
test('a session that waits for the database says so, and so does every page', async ({ page }) => {
  const { orgSlug } = await signUp(page);
  await createRepository(page, orgSlug, 'Corner shop', 'Sample');
  const sessionId = await startSession(page, orgSlug, 'Corner shop', 'Write the README in French');
  const orgId = await orgIdOf(page, orgSlug);
  const { WARREN_INTERNAL_PORT, WARREN_GRANT_SECRET } = process.env;
  const web = { internalUrl: `http://127.0.0.1:${WARREN_INTERNAL_PORT}`, grantSecret: WARREN_GRANT_SECRET! };
  const tell = (grantSecret: string) => tellTrouble({ ...web, grantSecret }, { orgId, sessionId, what: 'database_full' });

  const banner = page.getByRole('status').filter({ hasText: FULL });
  await expect(async () => {
    await tell(web.grantSecret);
    await expect(banner).toBeVisible({ timeout: 2_000 });
  }).toPass();
  await expect(page.getByText('Waits for Warren’s database: its disk is full').first()).toBeVisible();

  // The building of its template is news of the session: what was told before is not believed for long.
  await expect(banner).toBeHidden();
  await tell('not the installation’s secret');
  await page.goto(`/${orgSlug}/sessions`);
  await expect(page.getByRole('heading', { name: 'Sessions', level: 1 })).toBeVisible();
  await expect(banner).toBeHidden();
});
