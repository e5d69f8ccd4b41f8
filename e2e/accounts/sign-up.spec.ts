import { expect, test } from '@playwright/test';
import { aPerson, fillSignUp, signUp } from '../support/people.ts';

test.describe('sign-up', () => {
  test('leads to the sessions of an organization of one’s own', async ({ page }) => {
    const person = await signUp(page);
    await expect(page).toHaveURL(`/${person.orgSlug}/sessions`);
    await expect(page.getByRole('button', { name: `Organization ${person.orgName}` })).toBeVisible();
    await expect(page.getByText('No sessions yet')).toBeVisible();
  });

  test('says at each field what is missing and puts the cursor there', async ({ page }) => {
    await page.goto('/sign-up');
    await page.getByRole('button', { name: 'Sign up' }).click();
    await expect(page.getByText('Enter your name.')).toBeVisible();
    await expect(page.getByText('Use at least 10 characters.')).toBeVisible();
    await expect(page.getByLabel('Name', { exact: true })).toBeFocused();
  });

  test('says at the email that it is taken and keeps what was typed', async ({ page, browser }) => {
    const person = await signUp(page);
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto('/sign-up');
    await fillSignUp(other, { ...aPerson(), email: person.email });
    await expect(other.getByRole('alert').filter({ hasText: 'There is an account with this email already' })).toBeVisible();
    await expect(other.getByLabel('Email')).toBeFocused();
    await expect(other.getByLabel('Email')).toHaveValue(person.email);
    await context.close();
  });
});
