import { expect, type Page, test } from '@playwright/test';
import { signUp } from './support/people.ts';
import { createRepository, startSession } from './support/repositories.ts';

/*
 * From sign-up to a merged change, with real machines: the template is built, the agent works, sleeps, is woken by a
 * failed check and by a reviewer, and the change is merged. Under emulation each step takes a while.
 */
const STEP_MS = 10 * 60_000;
const TASK =
  'The tests of this repository fail. Find out why, fix the code (not the tests), run the tests again, commit and push.';

test('a task becomes a merged change, and the session slept on the way', async ({ page }) => {
  test.setTimeout(40 * 60_000);
  const { orgSlug } = await signUp(page);
  await createRepository(page, orgSlug, 'Corner shop', 'Sample');
  await startSession(page, orgSlug, 'Corner shop', TASK);
  const timeline = page.getByRole('region', { name: 'Timeline' });

  await test.step('the agent works in its machine and pushes', async () => {
    await expect(timeline.getByText(/^Pushed/).first()).toBeVisible({ timeout: STEP_MS });
    await expect(page.getByRole('tab', { name: 'Change' })).toContainText('#1');
  });

  await test.step('it falls asleep, and its diff can be read', async () => {
    await expect(timeline.getByText(/^Asleep\. Released/).first()).toBeVisible({ timeout: STEP_MS });
    await page.getByRole('tab', { name: 'Diff' }).click();
    await expect(page.getByRole('table', { name: /^Changes in src\// }).first()).toBeVisible();
  });

  await test.step('the failed check wakes the same machine, and the check passes in the end', async () => {
    await expect(timeline.getByText(/because a check failed\. Same boot, same agent process/).first()).toBeVisible({
      timeout: STEP_MS,
    });
    await page.getByRole('tab', { name: 'Change' }).click();
    await expect(page.getByText('Ready to merge')).toBeVisible({ timeout: STEP_MS });
    await untilAsleep(page);
  });

  await test.step('a comment on a line wakes it again, and the agent answers on the thread', async () => {
    await page.getByRole('tab', { name: 'Diff' }).click();
    // The line that the agent added to costOf for the failed check.
    await page.getByRole('button', { name: 'Comment on line 12', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'Comment' }).fill('Please add a doc comment above this.');
    await page.getByRole('button', { name: 'Comment', exact: true }).click();
    await expect(timeline.getByText(/because a reviewer commented\. Same boot, same agent process/)).toBeVisible({
      timeout: STEP_MS,
    });
    const thread = page.getByRole('article', { name: /^Thread on line/ }).filter({ hasText: 'Please add a doc comment' });
    await expect(thread.getByText('agent', { exact: true })).toBeVisible({ timeout: STEP_MS });
    // The task, the mended check and the reviewer's wish: a commit each.
    await expect(timeline.getByText(/^Pushed/)).toHaveCount(3);
    await untilAsleep(page);
  });

  await test.step('every sleep and wake is in the ledger', async () => {
    await page.getByRole('tab', { name: 'Wakes' }).click();
    expect(await page.getByText('QEMU process gone').count()).toBeGreaterThanOrEqual(2);
    expect(await page.getByText('same agent process', { exact: true }).count()).toBeGreaterThanOrEqual(2);
  });

  await test.step('a person merges, and the session ends', async () => {
    await page.getByRole('tab', { name: 'Change' }).click();
    await expect(page.getByText('Ready to merge')).toBeVisible({ timeout: STEP_MS });
    await page.getByRole('button', { name: 'Merge', exact: true }).click();
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Merge/ })
      .click();
    await expect(page.getByText(/merged this into main/)).toBeVisible();
    await expect(timeline.getByText(/merged change #1/)).toBeVisible();
    await expect(page.getByText('This session has ended and takes no more messages.')).toBeVisible({ timeout: STEP_MS });
  });

  await test.step('the change is part of the repository', async () => {
    await page.goto(`/${orgSlug}/repositories/corner-shop`);
    await expect(page.getByText(/Merge change 1/)).toBeVisible();
  });
});

async function untilAsleep(page: Page): Promise<void> {
  await expect(page.getByText(/^Asleep\s*since/)).toBeVisible({ timeout: STEP_MS });
}
