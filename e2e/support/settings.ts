import { expect, type Locator, type Page } from '@playwright/test';

/** Opens a tab of the organization's settings by its address, as a reload would. */
export async function openSettings(page: Page, orgSlug: string, tab: 'Members' | 'Egress' | 'Secrets' | 'Audit'): Promise<void> {
  await page.goto(`/${orgSlug}/settings?tab=${tab.toLowerCase()}`);
  await expect(page.getByRole('tab', { name: tab })).toHaveAttribute('aria-selected', 'true');
}

/** Fills the dialog for a new egress rule that inspects or splices, and sends it. */
export async function addRule(page: Page, rule: { host: string; mode?: 'Splice' | 'Inspect'; paths?: string }): Promise<void> {
  await page.getByRole('button', { name: 'Add rule' }).click();
  const dialog = page.getByRole('dialog', { name: 'New egress rule' });
  await dialog.getByLabel('Host', { exact: true }).fill(rule.host);
  if (rule.mode) await dialog.getByRole('radio', { name: rule.mode }).check();
  if (rule.paths) await dialog.getByLabel('Paths', { exact: true }).fill(rule.paths);
  await dialog.getByRole('button', { name: 'Add rule' }).click();
}

/** The rule's line in the list. */
export function ruleFor(page: Page, host: string): Locator {
  return page.getByRole('region', { name: 'Rules' }).getByRole('listitem').filter({ hasText: host });
}
