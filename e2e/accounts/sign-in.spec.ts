import { expect, test } from '@playwright/test';
import { signIn, signUp } from '../support/people.ts';

test.describe('sign-in', () => {
  test('a wrong password is told in words that do not say which of the two was wrong', async ({ page, browser }) => {
    const person = await signUp(page);
    const context = await browser.newContext();
    const other = await context.newPage();
    await signIn(other, { email: person.email, password: 'not the password' });
    await expect(other.getByRole('alert').filter({ hasText: 'Email or password is wrong.' })).toBeVisible();
    await expect(other).toHaveURL(/\/sign-in/);
    await context.close();
  });

  test('leads back to the page that asked for it, and to the tab', async ({ page, browser }) => {
    const person = await signUp(page);
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(`/${person.orgSlug}/settings?tab=audit`);
    await expect(other).toHaveURL(/\/sign-in\?next=/);
    await other.getByLabel('Email').fill(person.email);
    await other.getByLabel('Password').fill(person.password);
    await other.keyboard.press('Enter');
    await expect(other.getByRole('tab', { name: 'Audit', selected: true })).toBeVisible();
    await context.close();
  });

  test('signing out ends it', async ({ page }) => {
    const person = await signUp(page);
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await expect(page.getByRole('link', { name: 'Sign in' })).toBeVisible();
    await page.goto(`/${person.orgSlug}/sessions`);
    await expect(page).toHaveURL(/\/sign-in/);
  });
});
