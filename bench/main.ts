import path from 'node:path';
import { ROOT } from '../scripts/settings.ts';
import { reportFailure, stage } from '../scripts/stage.ts';
import { runMachines } from './machines.ts';
import { HELP, readOptions } from './options.ts';
import { ensureBenchPackages } from './packages.ts';
import { ensureImage } from './workspace.ts';

/*
 * `npm run bench`: figures of machines against what people would use instead, in one run on one computer. How they are measured
 * and why they cannot be fooled is in docs/benchmarks.md.
 */
async function main(argv: string[]): Promise<number> {
  if (argv.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const options = readOptions(argv);
  const baseDir = path.resolve(process.env.HOSTD_DATA_DIR || path.join(ROOT, '.warren', 'bench', 'hostd'));
  // Whatever opens a host below us opens this one.
  process.env.HOSTD_DATA_DIR = baseDir;
  const logsDir = path.join(path.dirname(baseDir), 'logs');
  await stage('system packages', (ctx) => ensureBenchPackages(options, { root: ROOT, logsDir }, ctx));
  await stage('guest image', (ctx) => ensureImage(baseDir, logsDir, ctx));
  return runMachines(options, { baseDir, logsDir, resultsDir: path.join(ROOT, 'bench', 'results') });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (cause) {
  reportFailure(cause);
  process.exitCode = 1;
}
