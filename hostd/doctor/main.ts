import { loadHostEnv } from '../env.ts';
import { CHECKS } from './checks.ts';
import { readFacts } from './facts.ts';

/* `node hostd/doctor/main.ts [--json]`: exit code 1 when something fails that machines cannot do without. */
const MARKS = { pass: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;
const NAME_WIDTH = 18;

const facts = await readFacts(loadHostEnv());
const findings = CHECKS.map(({ name, decide }) => ({ name, ...decide(facts) }));
const ok = findings.every(({ status }) => status !== 'fail');
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ ok, findings }, null, 2));
} else {
  const below = ' '.repeat(MARKS.pass.length + 2 + NAME_WIDTH);
  for (const { name, status, detail, why, fix } of findings) {
    console.log(`${MARKS[status]}  ${name.padEnd(NAME_WIDTH)}${detail}`);
    if (why) console.log(`${below}${why}`);
    if (fix) console.log(`${below}-> ${fix}`);
  }
}
process.exitCode = ok ? 0 : 1;
