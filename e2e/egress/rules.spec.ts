import { expect, test } from '@playwright/test';
import { signUp } from '../support/people.ts';
import { addRule, openSettings, ruleFor } from '../support/settings.ts';

test.describe('egress rules', () => {
  test('a rule is added in its canonical form, narrowed, and removed after a question', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await openSettings(page, orgSlug, 'Egress');
    await addRule(page, { host: 'API.Bücher.example.' });
    await expect(page.getByRole('dialog')).toBeHidden();
    await expect(ruleFor(page, 'api.xn--bcher-kva.example')).toContainText('443splice');

    await page.getByRole('button', { name: 'Edit the rule for api.xn--bcher-kva.example' }).click();
    const dialog = page.getByRole('dialog', { name: 'Egress rule' });
    await dialog.getByLabel('Ports', { exact: true }).fill('8443, 443');
    await dialog.getByRole('radio', { name: 'Inspect' }).check();
    await dialog.getByRole('checkbox', { name: 'GET' }).check();
    await dialog.getByLabel('Paths', { exact: true }).fill('/v1/**\n/%75sers');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog).toBeHidden();
    await page.reload();
    await expect(ruleFor(page, 'api.xn--bcher-kva.example')).toContainText('443, 8443inspect');
    await expect(ruleFor(page, 'api.xn--bcher-kva.example')).toContainText('GET /v1/** /users');

    await page.getByRole('button', { name: 'Remove the rule for api.xn--bcher-kva.example' }).click();
    await page.getByRole('dialog', { name: 'Remove this rule?' }).getByRole('button', { name: 'Cancel' }).click();
    await expect(ruleFor(page, 'api.xn--bcher-kva.example')).toBeVisible();
    await page.getByRole('button', { name: 'Remove the rule for api.xn--bcher-kva.example' }).click();
    await page.getByRole('dialog', { name: 'Remove this rule?' }).getByRole('button', { name: 'Remove' }).click();
    await expect(ruleFor(page, 'api.xn--bcher-kva.example')).toHaveCount(0);

    await openSettings(page, orgSlug, 'Audit');
    for (const action of ['egress.rule_added', 'egress.rule_changed', 'egress.rule_removed']) {
      await expect(page.getByRole('cell', { name: action })).toHaveCount(1);
    }
  });

  test('what is wrong is said at its field, and the cursor goes there', async ({ page }) => {
    const { orgSlug } = await signUp(page);
    await openSettings(page, orgSlug, 'Egress');
    await addRule(page, { host: '10.0.0.1' });
    const dialog = page.getByRole('dialog', { name: 'New egress rule' });
    await expect(dialog.getByRole('alert')).toContainText('Addresses are never allowed');
    await expect(dialog.getByLabel('Host', { exact: true })).toBeFocused();

    await dialog.getByLabel('Host', { exact: true }).fill('api.example.com');
    await dialog.getByRole('radio', { name: 'Inspect' }).check();
    await dialog.getByLabel('Paths', { exact: true }).fill('/a/../b');
    await dialog.getByRole('button', { name: 'Add rule' }).click();
    await expect(dialog.getByLabel('Paths', { exact: true })).toBeFocused();
    await expect(dialog.getByLabel('Host', { exact: true })).toHaveValue('api.example.com');
    await dialog.getByLabel('Paths', { exact: true }).fill('');
    await dialog.getByRole('button', { name: 'Add rule' }).click();
    await expect(dialog).toBeHidden();

    await addRule(page, { host: 'api.example.com' });
    await expect(dialog.getByRole('alert')).toContainText('Another rule for api.example.com has the mode inspect');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await expect(ruleFor(page, 'api.example.com')).toHaveCount(1);
  });
});
