import { loadHostEnv } from '../env.ts';
import { messageOf } from '../errors.ts';
import { layoutOf } from '../storage/layout.ts';
import { CHECKS, type Finding } from './checks.ts';

/* `node hostd/doctor/main.ts [--json]`: exit code 1 when something fails that machines cannot do without. */
const MARKS = { pass: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

async function examine(): Promise<({ name: string } & Finding)[]> {
  const layout = layoutOf(loadHostEnv().HOSTD_DATA_DIR);
  const findings: ({ name: string } & Finding)[] = [];
  for (const { name, run } of CHECKS) {
    const finding = await run(layout).catch((error): Finding => ({ status: 'fail', detail: messageOf(error) }));
    findings.push({ name, ...finding });
  }
  return findings;
}

const findings = await examine();
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ ok: findings.every(({ status }) => status !== 'fail'), findings }, null, 2));
} else {
  for (const { name, status, detail, fix } of findings) {
    console.log(`${MARKS[status]}  ${name.padEnd(16)}${detail}`);
    if (fix && status !== 'pass') console.log(`      ${''.padEnd(16)}-> ${fix}`);
  }
}
process.exitCode = findings.some(({ status }) => status === 'fail') ? 1 : 0;
