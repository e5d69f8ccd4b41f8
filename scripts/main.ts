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
npm run doctor   what this computer can and cannot do for machines`;

const args = process.argv.slice(2);
const [command, ...rest] = args.filter((arg) => !arg.startsWith('-'));
const options = {
  noInstall: args.includes('--no-install'),
  seed: !args.includes('--no-seed'),
  interruptedExitCode: command === undefined ? 0 : 130,
} as const;

try {
  if (args.includes('--help')) console.log(HELP);
  else if (command === undefined) await (await startWarren(options)).untilStopped;
  else if (command === 'demo') process.exitCode = await runDemo(options);
  else if (command === 'trouble') process.exitCode = await runTrouble(rest);
  else if (command === 'doctor') {
    const { WARREN_DATA_DIR, HOSTD_DATA_DIR } = process.env;
    // The directory that `npm start` would give hostd, not hostd's own default.
    const dataDir = HOSTD_DATA_DIR || (WARREN_DATA_DIR ? path.resolve(WARREN_DATA_DIR, 'hostd') : '');
    const child = spawn('node', ['hostd/doctor/main.ts', ...args.filter((arg) => arg !== 'doctor')], {
      stdio: 'inherit',
      env: { ...process.env, HOSTD_DATA_DIR: dataDir },
    });
    process.exitCode = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  } else throw new Error(`There is no command ${command}.\n${HELP}`);
} catch (cause) {
  reportFailure(cause);
  process.exitCode = 1;
}
