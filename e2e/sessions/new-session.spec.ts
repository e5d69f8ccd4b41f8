import { expect, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { createRepository, startSession } from '../support/repositories.ts';

test.describe('a new session', () => {
  test('shows on its own page at once, and in the list', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Sample');
    await startSession(page, orgSlug, 'Corner shop', 'Write the README in French');
    await expect(page.getByRole('heading', { name: 'Write the README in French' })).toBeVisible();
    await expect(page.getByRole('region', { name: 'Timeline' }).getByText('Write the README in French')).toBeVisible();

    await page.goto(`/${orgSlug}/sessions`);
    await expect(page.getByRole('main').getByRole('link', { name: 'Write the README in French' })).toBeVisible();
  });

  test('without a task is not started, and says so at the task', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Sample');
    await page.goto(`/${orgSlug}/new`);
    await page.getByRole('button', { name: 'Start session' }).click();
    await expect(page.getByText('Say what is to be done.')).toBeVisible();
    await expect(page).toHaveURL(`/${orgSlug}/new`);
  });

  test('with more text than the policy allows is not started, and says how much is allowed', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Sample');
    await page.goto(`/${orgSlug}/new`);
    await page.getByLabel('Task').fill('x'.repeat(100_001));
    await expect(page.getByRole('alert').filter({ hasText: 'of 100 kB: too long' })).toBeVisible();
    await expect(page.getByRole('button', { name: 'Start session' })).toBeDisabled();
  });

  test('is one key away, and so is everything else', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Sample');
    await page.goto(`/${orgSlug}/sessions`);
    await expect(page.getByText('No sessions yet')).toBeVisible();
    await page.keyboard.press('c');
    await expect(page.getByLabel('Task')).toBeFocused();
    await page.getByLabel('Task').blur();

    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search' }).fill('corner');
    await expect(page.getByRole('option', { name: 'Corner shop Repository' })).toBeVisible();
    await page.keyboard.press('Enter');
    await expect(page).toHaveURL(`/${orgSlug}/repositories/corner-shop`);
  });
});
