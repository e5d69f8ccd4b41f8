import { expect, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { createRepository } from '../support/repositories.ts';

test.describe('repositories', () => {
  test('the sample shows its files, its README and its environment', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Sample');
    await expect(page.getByRole('article', { name: 'README.md' }).getByRole('heading', { name: 'Corner shop' })).toBeVisible();

    await page.getByRole('link', { name: 'src' }).click();
    await page.getByRole('link', { name: 'money.ts' }).click();
    await expect(page.getByText('export function formatPrice')).toBeVisible();

    await page.goto(`/${orgSlug}/repositories/corner-shop`);
    await page.getByRole('tab', { name: 'Environment' }).click();
    await expect(page.getByText('npm run typecheck')).toBeVisible();
  });

  test('an empty one says that it needs a commit, and starts no session', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Nothing', 'Empty');
    await expect(page.getByText('This repository has no commits yet')).toBeVisible();

    await page.goto(`/${orgSlug}/new`);
    await page.getByLabel('Task').fill('Do something.');
    await page.getByRole('button', { name: 'Start session' }).click();
    await expect(page.getByRole('alert').filter({ hasText: 'has no commits' })).toBeVisible();
    await expect(page.getByLabel('Task')).toHaveValue('Do something.');
  });

  test('a name that is taken is told at the name', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Corner shop', 'Empty');
    await page.goto(`/${orgSlug}/repositories`);
    await page.getByRole('button', { name: 'New repository' }).click();
    const dialog = page.getByRole('dialog', { name: 'New repository' });
    await dialog.getByLabel('Name').fill('Corner Shop');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await expect(dialog.getByRole('alert').filter({ hasText: 'already a repository' })).toBeVisible();
  });
});
