import { expect, test } from '@playwright/test';
import { runAsPerson } from '../support/own-git.ts';
import { createAccessToken, signUp } from '../support/people.ts';
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

  test('an empty one is filled by a person’s own git, with a token from the account page', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await createRepository(page, orgSlug, 'Imported', 'Empty');
    const commands = await page.getByLabel('commands for a new repository', { exact: true }).textContent();
    await page.getByRole('link', { name: 'access token' }).click();
    await expect(page.getByRole('button', { name: 'New token' })).toBeVisible();
    const token = await createAccessToken(page, orgSlug, 'laptop');

    await runAsPerson(commands ?? '', token);
    await page.goto(`/${orgSlug}/repositories/imported`);
    await expect(page.getByRole('article', { name: 'README.md' })).toBeVisible();

    await page.goto(`/${orgSlug}/account`);
    await expect(page.getByText('used just now')).toBeVisible();
    await page.getByRole('button', { name: 'Revoke laptop' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await expect(page.getByText('No tokens yet')).toBeVisible();
    await expect(runAsPerson(commands ?? '', token)).rejects.toThrow('Authentication failed');
  });
});
