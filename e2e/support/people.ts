import { randomBytes } from 'node:crypto';
import { expect, type Page } from '@playwright/test';

export type Person = { name: string; email: string; password: string; orgName: string };
export type SignedUp = Person & { orgSlug: string };

/** Somebody nobody else in the installation is. */
export function aPerson(name = 'Ada Lovelace'): Person {
  const unique = randomBytes(4).toString('hex');
  return { name, email: `ada-${unique}@example.com`, password: `correct horse ${unique}`, orgName: `Analytical ${unique}` };
}

export async function fillSignUp(page: Page, person: Person): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(person.name);
  await page.getByLabel('Email').fill(person.email);
  await page.getByLabel('Password').fill(person.password);
  await page.getByLabel('Organization').fill(person.orgName);
  await page.getByRole('button', { name: 'Sign up' }).click();
}

/** Signs up through the page and ends on the new organization's sessions. */
export async function signUp(page: Page, person: Person = aPerson()): Promise<SignedUp> {
  await page.goto('/sign-up');
  await fillSignUp(page, person);
  await expect(page.getByRole('heading', { name: 'Sessions', level: 1 })).toBeVisible();
  return { ...person, orgSlug: new URL(page.url()).pathname.split('/')[1]! };
}

export async function signIn(page: Page, { email, password }: Pick<Person, 'email' | 'password'>): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Makes an access token on the account page and gives it back. */
export async function createAccessToken(page: Page, orgSlug: string, name: string): Promise<string> {
  await page.goto(`/${orgSlug}/account`);
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  const token = await page.getByRole('dialog').getByLabel('Token', { exact: true }).textContent();
  await page.getByRole('button', { name: 'Done' }).click();
  return token ?? '';
}
