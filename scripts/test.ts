import { spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { startPostgres } from './postgres.ts';
import { loadSettings, processEnv, ROOT } from './settings.ts';
import { reportFailure, runLogged, stage } from './stage.ts';
import { startWarren } from './start.ts';
import { ensureSystemPackages } from './system-packages.ts';

/*
 * `npm test`: installs what the tests need and runs all of them, cheapest first. It works in a data directory and on
 * ports of its own, beside a running Warren. Names of suites as arguments run only those: `npm test -- unit db`.
 */
const SUITES = ['types', 'lint', 'unit', 'db', 'vm', 'e2e'] as const;
type Suite = (typeof SUITES)[number];

process.env.WARREN_DATA_DIR ||= path.join(ROOT, '.warren', 'test');
process.env.WARREN_PORT ||= '7440';

type Count = { passed: number; failed: number; skipped: number };
const total: Count = { passed: 0, failed: 0, skipped: 0 };

function runVisible(argv: [string, ...string[]], env: Record<string, string> = {}): Promise<number> {
  const [file, ...args] = argv;
  const child = spawn(file, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  return new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('close', (code) => resolve(code ?? 1));
  });
}

function countCheck(ok: boolean): void {
  if (ok) total.passed += 1;
  else total.failed += 1;
}

async function runVitest(project: string, reportsDir: string, env: Record<string, string>): Promise<void> {
  const report = path.join(reportsDir, `${project}.json`);
  const argv = ['vitest', 'run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await runVisible(argv as [string], env);
  const counts = JSON.parse(await readFile(report, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
  };
  total.passed += counts.numPassedTests;
  total.skipped += counts.numPendingTests;
  // A file that does not load fails the run without failing a test.
  total.failed += Math.max(counts.numFailedTests, code === 0 ? 0 : 1);
}

async function runPlaywright(reportsDir: string, env: Record<string, string>): Promise<void> {
  const report = path.join(reportsDir, 'e2e.json');
  const code = await runVisible(['playwright', 'test', '--reporter=list,json'], { ...env, PLAYWRIGHT_JSON_OUTPUT_NAME: report });
  const { stats } = JSON.parse(await readFile(report, 'utf8')) as {
    stats: { expected: number; unexpected: number; flaky: number; skipped: number };
  };
  total.passed += stats.expected;
  total.skipped += stats.skipped;
  total.failed += Math.max(stats.unexpected + stats.flaky, code === 0 ? 0 : 1);
}

async function main(): Promise<void> {
  const asked = process.argv.slice(2).filter((arg) => !arg.startsWith('-')) as Suite[];
  const unknown = asked.filter((name) => !SUITES.includes(name));
  if (unknown.length > 0) throw new Error(`No suite ${unknown.join(', ')}; there are ${SUITES.join(', ')}`);
  const wanted = (name: Suite) => asked.length === 0 || asked.includes(name);

  const settings = await loadSettings();
  const env = processEnv(settings, 'https://registry.npmjs.org/');
  const reportsDir = path.join(settings.dataDir, 'reports');
  await mkdir(reportsDir, { recursive: true });
  const noInstall = process.argv.includes('--no-install');
  await stage('system packages', (ctx) =>
    ensureSystemPackages({ forTests: true, noInstall, root: ROOT, logsDir: settings.logsDir }, ctx),
  );
  if (wanted('types')) countCheck((await runVisible(['tsc', '--noEmit'])) === 0);
  if (wanted('lint')) countCheck((await runVisible(['biome', 'check', '.'])) === 0);
  if (wanted('unit')) await runVitest('unit', reportsDir, {});
  if (wanted('db')) {
    const postgres = await startPostgres({
      dataDir: path.join(settings.dataDir, 'postgres-tests'),
      port: settings.postgresPort + 1,
      password: settings.secrets.postgres,
    });
    try {
      await runVitest('db', reportsDir, { TEST_DATABASE_URL: postgres.superuserUrl });
    } finally {
      await postgres.stop();
    }
  }
  if (wanted('vm')) {
    await stage('guest image', (ctx) =>
      runLogged(
        {
          argv: ['node', 'hostd/guest/image/build.ts'],
          cwd: ROOT,
          env,
          logPath: path.join(settings.logsDir, 'image-build.log'),
          nextStep: 'see the log',
        },
        ctx,
      ),
    );
    await runVitest('vm', reportsDir, env);
  }
  if (wanted('e2e')) {
    const running = await startWarren({ noInstall, seed: false, interruptedExitCode: 130 });
    try {
      await runPlaywright(reportsDir, { ...env, WARREN_URL: settings.url });
    } finally {
      await running.stop();
    }
  }
}

const startedAt = performance.now();
try {
  await main();
} catch (cause) {
  reportFailure(cause);
  total.failed += 1;
}
console.log(`\nafter ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`);
// The plain closing line that CI reads.
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
