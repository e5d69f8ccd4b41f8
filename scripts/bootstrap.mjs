// Runs on whatever Node the computer has (20.9 or newer) with nothing installed: brings in the npm dependencies, then
// hands over to the Node 24 among them. Everything else is TypeScript that Node 24 runs as it is.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bin = path.join(root, 'node_modules', '.bin');

// Prisma would otherwise download a native engine that nothing here uses.
const offlinePrisma = { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', CHECKPOINT_DISABLE: '1' };
const path24 = `${bin}${path.delimiter}${process.env.PATH}`;

function hashOf(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/** One step of set-up, skipped when its mark says that it was done from the same sources. */
function step({ title, hint, mark, hash, command, env }) {
  if (existsSync(mark) && readFileSync(mark, 'utf8') === hash) return;
  const startedAt = Date.now();
  console.log(`  … ${title}${hint ? `: ${hint}` : ''}`);
  const [program, ...args] = command;
  const result = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, ...offlinePrisma, ...env },
  });
  if (result.status !== 0) {
    console.error(`${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n').slice(-25).join('\n'));
    console.error(`\n  ✗ ${title}: ${program} ended with ${result.error?.message ?? `exit code ${result.status}`}`);
    console.error('    Next step: see the lines above, then run the same command again; it carries on from here.');
    process.exit(1);
  }
  writeFileSync(mark, hash);
  console.log(`  ✓ ${title} (${((Date.now() - startedAt) / 1000).toFixed(0)} s)`);
}

function prepare() {
  step({
    title: 'npm dependencies',
    hint: 'about a minute the first time',
    mark: path.join(root, 'node_modules', '.warren-lock'),
    hash: hashOf('package-lock.json'),
    // Not `npm ci`: it refuses a lock file without every platform's optional packages, which a registry mirror may not have.
    command: ['npm', 'install', '--no-save', '--no-fund', '--no-audit', '--loglevel=error'],
  });
  step({
    title: 'database client',
    mark: path.join(root, 'prisma', 'generated', '.sources'),
    hash: hashOf('prisma/schema.prisma', 'package-lock.json'),
    command: ['prisma', 'generate'],
    env: { PATH: path24 },
  });
}

/** Installs what is missing and runs `script` under Node 24, passing on arguments, signals and the exit code. */
export function runUnderNode24(script, args) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 9)) {
    console.error(`Warren needs Node 20.9 or newer to start; this is ${process.versions.node}.`);
    process.exit(1);
  }
  process.chdir(root);
  prepare();
  const child = spawn(path.join(bin, 'node'), ['--disable-warning=ExperimentalWarning', path.join('scripts', script), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path24, NEXT_TELEMETRY_DISABLED: '1' },
  });
  // A terminal sends Ctrl-C to the whole group: the child stops itself, this process only waits for it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
