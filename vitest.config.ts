import { defineConfig } from 'vitest/config';

const ignored = ['node_modules/**', '.next/**', '.warren/**', 'e2e/**'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...ignored, '**/*.db.test.ts', '**/*.vm.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'db',
          include: ['**/*.db.test.ts'],
          exclude: ignored,
          globalSetup: ['server/testing/database.global.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      // Real guests under emulation: one file at a time on two cores.
      {
        test: {
          name: 'vm',
          include: ['**/*.vm.test.ts'],
          exclude: ignored,
          testTimeout: 300_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
