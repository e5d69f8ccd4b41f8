import { expect, type Page } from '@playwright/test';

/** Creates a repository through the page and ends on its page. */
export async function createRepository(page: Page, orgSlug: string, name: string, content: 'Sample' | 'Empty'): Promise<void> {
  await page.goto(`/${orgSlug}/repositories`);
  await page.getByRole('button', { name: 'New repository' }).click();
  const dialog = page.getByRole('dialog', { name: 'New repository' });
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('radio', { name: content }).check();
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByRole('tab', { name: 'Environment' })).toBeVisible();
}

/** Starts a session through the page and ends on its page. */
export async function startSession(page: Page, orgSlug: string, repository: string, task: string): Promise<string> {
  await page.goto(`/${orgSlug}/new`);
  await page.getByLabel('Repository').selectOption({ label: repository });
  await page.getByLabel('Task').fill(task);
  await page.getByRole('button', { name: 'Start session' }).click();
  await page.waitForURL(/\/sessions\/ses_/);
  return new URL(page.url()).pathname.split('/').at(-1)!;
}
