import { spawn } from 'node:child_process';
import path from 'node:path';
import { runDemo } from './demo.ts';
import { reportFailure } from './stage.ts';
import { startWarren } from './start.ts';
import { runTrouble } from './trouble.ts';

const HELP = `npm start [-- options]

  --no-install   only print the command that installs missing system packages
  --no-seed      no demo organization
  --help         this text

npm run demo     the main job without a person, ending in one line of JSON
npm run trouble  harms a running Warren part by part and looks what becomes of sessions (-- hostd qemu: only those)
npm run doctor   what this computer can and cannot do for machines
npm run kill-matrix -- hostd
                 strikes hostd, QEMU and callers at every fault point and looks what is left (--json, --only=TEXT)
npm run escape-matrix
                 lets a hostile machine try to get out, freshly booted, resumed and forked (--json, --only=CATEGORY)`;

const args = process.argv.slice(2);
const [command, ...rest] = args.filter((arg) => !arg.startsWith('-'));
const flags = args.filter((arg) => arg.startsWith('-'));
const options = {
  noInstall: args.includes('--no-install'),
  seed: !args.includes('--no-seed'),
  interruptedExitCode: command === undefined ? 0 : 130,
} as const;

/** A program of hostd's own over the data directory that `npm start` would give hostd, not hostd's own default. */
function runOnHost(file: string, argv: string[]): Promise<number> {
  const { WARREN_DATA_DIR, HOSTD_DATA_DIR } = process.env;
  const dataDir = HOSTD_DATA_DIR || (WARREN_DATA_DIR ? path.resolve(WARREN_DATA_DIR, 'hostd') : '');
  const child = spawn('node', [file, ...argv], { stdio: 'inherit', env: { ...process.env, HOSTD_DATA_DIR: dataDir } });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

/** The same for what needs the current image, which is built first. */
async function runWithImage(file: string, argv: string[]): Promise<number> {
  return (await runOnHost('hostd/guest/image/build.ts', [])) || (await runOnHost(file, argv));
}

try {
  if (args.includes('--help')) console.log(HELP);
  else if (command === undefined) await (await startWarren(options)).untilStopped;
  else if (command === 'demo') process.exitCode = await runDemo(options);
  else if (command === 'trouble') process.exitCode = await runTrouble(rest);
  else if (command === 'doctor') process.exitCode = await runOnHost('hostd/doctor/main.ts', flags);
  else if (command === 'kill-matrix' && rest[0] === 'hostd')
    process.exitCode = await runWithImage('hostd/kill-matrix/main.ts', flags);
  else if (command === 'escape-matrix') process.exitCode = await runWithImage('scripts/escape/main.ts', flags);
  else throw new Error(`There is no command ${command}.\n${HELP}`);
} catch (cause) {
  reportFailure(cause);
  process.exitCode = 1;
}
