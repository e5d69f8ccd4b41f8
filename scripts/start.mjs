import { runUnderNode24 } from './bootstrap.mjs';

runUnderNode24('main.ts', process.argv.slice(2));
