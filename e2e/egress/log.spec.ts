import { expect, test } from '@playwright/test';
import { runAsPerson } from '../support/own-git.ts';
import { createAccessToken, signUp } from '../support/people.ts';
import { createRepository } from '../support/repositories.ts';
import { openSettings, ruleFor } from '../support/settings.ts';

/** A machine boots under emulation, and its set-up runs. */
const BUILD_MS = 10 * 60_000;

/** Its set-up asks for a host that no rule names. */
const ENVIRONMENT = ['setup:', '  - curl -sS https://refused.example.com/some/path || true'].join('\n');

test('what a machine was refused shows in the log, and an admin allows it from there', async ({ page }) => {
  test.setTimeout(2 * BUILD_MS);
  const { orgSlug } = await signUp(page);
  await createRepository(page, orgSlug, 'Curious', 'Empty');
  const commands = (await page.getByLabel('commands for a new repository', { exact: true }).textContent()) ?? '';
  const token = await createAccessToken(page, orgSlug, 'laptop');
  const withEnvironment = `mkdir .warren\ncat > .warren/environment.yaml <<'END'\n${ENVIRONMENT}\nEND\ngit add .warren\ngit commit`;
  await runAsPerson(commands.replace('git commit', withEnvironment), token);

  await openSettings(page, orgSlug, 'Egress');
  const requests = page.getByRole('region', { name: 'Requests' });
  await expect(requests.getByText('CONNECT refused.example.com:443')).toBeVisible({ timeout: BUILD_MS });
  await expect(requests.getByText('host not on the list')).toBeVisible();

  await requests.getByRole('button', { name: 'Allowed' }).click();
  await expect(requests.getByText('git.warren.internal').first()).toBeVisible();
  await expect(requests.getByText('refused.example.com')).toHaveCount(0);
  await requests.getByRole('button', { name: 'All', exact: true }).click();
  await requests.getByLabel('Host contains').fill('REFUSED');
  await expect(requests.getByText('git.warren.internal')).toHaveCount(0);

  await requests.getByRole('button', { name: 'Allow refused.example.com' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'New egress rule' });
  await expect(dialog.getByLabel('Host', { exact: true })).toHaveValue('refused.example.com');
  await expect(dialog.getByLabel('Ports', { exact: true })).toHaveValue('443');
  await dialog.getByRole('button', { name: 'Add rule' }).click();
  await expect(ruleFor(page, 'refused.example.com')).toBeVisible();
});
