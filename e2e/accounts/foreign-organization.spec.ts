import { expect, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { createRepository, startSession } from '../support/repositories.ts';

test('what belongs to another organization looks like what does not exist', async ({ page, browser }) => {
  const owner = await signUp(page);
  await createRepository(page, owner.orgSlug, 'Corner shop', 'Sample');
  const sessionId = await startSession(page, owner.orgSlug, 'Corner shop', 'Do something.');

  const context = await browser.newContext();
  const outside = await context.newPage();
  const outsider = await signUp(outside);
  const paths = [
    `/${owner.orgSlug}/sessions`,
    `/${owner.orgSlug}/sessions/${sessionId}`,
    `/${owner.orgSlug}/repositories/corner-shop`,
    `/${owner.orgSlug}/repositories/corner-shop/changes/1`,
    `/${owner.orgSlug}/settings`,
    `/${outsider.orgSlug}/sessions/${sessionId}`,
    `/${outsider.orgSlug}/repositories/corner-shop`,
  ];
  for (const path of paths) {
    const reply = await outside.goto(path);
    expect(reply?.status(), path).toBe(404);
    await expect(outside.getByRole('heading', { name: 'Not found' })).toBeVisible();
  }
  await context.close();
});
