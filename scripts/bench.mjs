import { runUnderNode24 } from './bootstrap.mjs';

runUnderNode24('../bench/main.ts', process.argv.slice(2));
