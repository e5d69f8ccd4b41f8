import { runUnderNode24 } from './bootstrap.mjs';

runUnderNode24('test.ts', process.argv.slice(2));
