/** Shared by vitest's main process, which makes the template, and the test files, which clone it. */
export const TEMPLATE_DATABASE = 'warren_test_template';
export const TEST_PASSWORDS = { owner: 'test-owner', app: 'test-app', system: 'test-system' };
