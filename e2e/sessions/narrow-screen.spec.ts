import { expect, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { createRepository, startSession } from '../support/repositories.ts';

test.use({ viewport: { width: 390, height: 844 } });

test('a session fits a phone: one view at a time, tabs at the foot, nothing wider than the screen', async ({ page }) => {
  const { orgSlug } = await signUp(page);
  await createRepository(page, orgSlug, 'Corner shop', 'Sample');
  await startSession(page, orgSlug, 'Corner shop', 'Write the README in French');
  await page.getByRole('textbox', { name: 'Message to the agent' }).fill('Half a message');
  for (const name of ['Diff', 'Files', 'Terminal', 'Change', 'Wakes', 'Egress']) {
    await page.getByRole('tab', { name }).click();
    await expect(page.getByRole('tab', { name })).toHaveAttribute('aria-selected', 'true');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  }
  await page.getByRole('tab', { name: 'Timeline' }).click();
  await expect(page.getByRole('textbox', { name: 'Message to the agent' })).toHaveValue('Half a message');
});
