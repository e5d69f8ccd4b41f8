import { expect, type Page, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { addRule, openSettings } from '../support/settings.ts';

const VALUE = 'first-value-nobody-may-read-again';
const NEXT_VALUE = 'second-value-nobody-may-read-again';

/** Every answer of the server to this page, so that a value that comes back in any of them is seen. */
function keepAnswers(page: Page): { all: () => Promise<string> } {
  const answers: Promise<string>[] = [];
  // Answers without a body, such as redirects, have nothing to hold a value.
  page.on('response', (response) => answers.push(response.text().catch(() => '')));
  return { all: async () => (await Promise.all(answers)).join('\n') };
}

async function addSecret(page: Page, secret: { name: string; host: string; value: string }): Promise<void> {
  await page.getByRole('button', { name: 'Add secret' }).click();
  const dialog = page.getByRole('dialog', { name: 'New secret' });
  await dialog.getByLabel('Name', { exact: true }).fill(secret.name);
  await dialog.getByLabel('Host', { exact: true }).fill(secret.host);
  await dialog.getByLabel('Value', { exact: true }).fill(secret.value);
  await dialog.getByRole('button', { name: 'Add secret' }).click();
}

function secretNamed(page: Page, name: string) {
  return page.getByRole('region', { name: 'Secrets' }).getByRole('listitem').filter({ hasText: name });
}

test.describe('secrets', () => {
  test('a value goes in, is replaced and removed, and never comes out', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await openSettings(page, orgSlug, 'Secrets');
    const answers = keepAnswers(page);
    await expect(page.getByText('No secrets yet')).toBeVisible();
    await addSecret(page, { name: 'Registry', host: 'Registry.Example.com', value: VALUE });
    await expect(page.getByRole('dialog')).toBeHidden();
    await expect(secretNamed(page, 'Registry')).toContainText('registry.example.com authorization: Bearer ••••');

    await page.getByRole('button', { name: 'Replace the value of Registry' }).click();
    const replacing = page.getByRole('dialog', { name: 'Replace the value' });
    await expect(replacing.getByLabel('Value', { exact: true })).toHaveValue('');
    await replacing.getByRole('button', { name: 'Replace' }).click();
    await expect(replacing.getByText('Enter the value.')).toBeVisible();
    await replacing.getByLabel('Value', { exact: true }).fill(NEXT_VALUE);
    await replacing.getByRole('button', { name: 'Replace' }).click();
    await expect(replacing).toBeHidden();

    await page.reload();
    await page.getByRole('button', { name: 'Replace the value of Registry' }).click();
    await expect(replacing.getByLabel('Value', { exact: true })).toHaveValue('');
    await replacing.getByRole('button', { name: 'Cancel' }).click();

    await page.getByRole('button', { name: 'Remove Registry' }).click();
    await page.getByRole('dialog', { name: 'Remove this secret?' }).getByRole('button', { name: 'Cancel' }).click();
    await expect(secretNamed(page, 'Registry')).toBeVisible();
    await page.getByRole('button', { name: 'Remove Registry' }).click();
    await page.getByRole('dialog', { name: 'Remove this secret?' }).getByRole('button', { name: 'Remove' }).click();
    await expect(page.getByText('No secrets yet')).toBeVisible();

    await openSettings(page, orgSlug, 'Audit');
    for (const action of ['secret.created', 'secret.value_set', 'secret.removed']) {
      await expect(page.getByRole('cell', { name: action })).toHaveCount(1);
    }
    const seen = await answers.all();
    expect(seen).toContain('secret.value_set');
    expect(seen).not.toContain(VALUE);
    expect(seen).not.toContain(NEXT_VALUE);
  });

  test('one that no rule would send says so, until there is such a rule', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await openSettings(page, orgSlug, 'Secrets');
    await addSecret(page, { name: 'Registry', host: 'registry.example.com', value: VALUE });
    await expect(secretNamed(page, 'Registry')).toContainText('Not sent: no egress rule names registry.example.com.');

    await secretNamed(page, 'Registry').getByRole('link', { name: 'Egress rules' }).click();
    await addRule(page, { host: 'registry.example.com' });
    await expect(page.getByRole('dialog')).toBeHidden();
    await page.getByRole('tab', { name: 'Secrets' }).click();
    await expect(secretNamed(page, 'Registry')).toContainText('Not sent: the rule for registry.example.com splices TLS.');

    await page.getByRole('tab', { name: 'Egress' }).click();
    await page.getByRole('button', { name: 'Edit the rule for registry.example.com' }).click();
    await page.getByRole('dialog').getByRole('radio', { name: 'Inspect' }).check();
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await expect(page.getByRole('dialog')).toBeHidden();
    await page.getByRole('tab', { name: 'Secrets' }).click();
    await expect(secretNamed(page, 'Registry')).toBeVisible();
    await expect(page.getByText('Not sent')).toBeHidden();
  });

  test('a second one for the same host and header is refused at the header', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await openSettings(page, orgSlug, 'Secrets');
    await addSecret(page, { name: 'Registry', host: 'registry.example.com', value: VALUE });
    await expect(page.getByRole('dialog')).toBeHidden();
    await addSecret(page, { name: 'Again', host: 'registry.example.com', value: VALUE });
    const dialog = page.getByRole('dialog', { name: 'New secret' });
    await expect(dialog.getByRole('alert')).toContainText('has a secret for authorization already: Registry');
    await expect(dialog.getByLabel('Header', { exact: true })).toBeFocused();
    await dialog.getByLabel('Header', { exact: true }).fill('x-api-key');
    await dialog.getByRole('button', { name: 'Add secret' }).click();
    await expect(dialog).toBeHidden();
    await expect(secretNamed(page, 'Again')).toBeVisible();
  });
});
