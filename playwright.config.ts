import { defineConfig, devices } from '@playwright/test';

/*
 * Browser tests against a running Warren, named by WARREN_URL. Every test signs up people of its own, so one installation
 * serves them all and none needs a clean one. Debian's Chromium is used: Playwright's own would be a download.
 */
const chromium = {
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

export default defineConfig({
  testDir: 'e2e',
  testIgnore: ['demo-repository/**'],
  outputDir: 'test-results',
  // Machines and browsers share the computer's few cores.
  workers: 1,
  // One after the other by path: what waits for a template comes before `sessions/`, which leaves many to be built, one at a time.
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  // Generous: on two cores a template is being built under emulation meanwhile.
  timeout: 240_000,
  expect: { timeout: 60_000 },
  use: {
    ...devices['Desktop Chrome'],
    baseURL: process.env.WARREN_URL ?? 'http://localhost:7400',
    viewport: { width: 1280, height: 800 },
    // Animations drawn in software take a fifth of a core from the emulated machines.
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: chromium,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
});
