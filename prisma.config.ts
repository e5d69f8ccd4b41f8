import { defineConfig } from 'prisma/config';

// Only `prisma generate` reads this; migrations are applied by prisma/migrate.ts, which needs no engine binary.
export default defineConfig({ schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' } });
