import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { type MigrationList, SchemaEngine, type SchemaFilter } from '@prisma/schema-engine-wasm';
import pg from 'pg';

/*
 * Applies prisma/migrations with Prisma's own schema engine in its WebAssembly form. The usual `prisma migrate deploy`
 * downloads a native engine first and so needs a network that an air-gapped install does not have. Both write the same
 * `_prisma_migrations` rows, so either can be used on the same database.
 */
const PRISMA_DIR = import.meta.dirname;
const MIGRATIONS_DIR = path.join(PRISMA_DIR, 'migrations');
const NO_FILTER: SchemaFilter = { externalTables: [], externalEnums: [] };

async function readMigrations(): Promise<MigrationList> {
  const entries = await readdir(MIGRATIONS_DIR, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return {
    baseDir: MIGRATIONS_DIR,
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(path.join(MIGRATIONS_DIR, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.sort().map(async (name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: await readFile(path.join(MIGRATIONS_DIR, name, 'migration.sql'), 'utf8') },
        },
      })),
    ),
  };
}

async function openEngine(pool: pg.Pool): Promise<SchemaEngine> {
  const schemaPath = path.join(PRISMA_DIR, 'schema.prisma');
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
  return SchemaEngine.new({ datamodels: [[schemaPath, await readFile(schemaPath, 'utf8')]] }, () => {}, adapter);
}

/**
 * Applies every migration the database does not have yet, in name order.
 *
 * @param ownerUrl connection string of the role that owns the tables
 * @returns names of the migrations applied now; empty when there was nothing to do
 */
export async function migrate(ownerUrl: string): Promise<string[]> {
  // A pool of our own: disposing of the engine leaves its connections open.
  const pool = new pg.Pool({ connectionString: ownerUrl });
  try {
    using engine = await openEngine(pool);
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: await readMigrations(),
      filters: NO_FILTER,
    });
    return appliedMigrationNames;
  } finally {
    await pool.end();
  }
}

/** SQL that turns an empty database into schema.prisma: the start of a new migration. Row-level security is added by hand. */
export async function printSchemaSql(anyDatabaseUrl: string): Promise<string> {
  const schemaPath = path.join(PRISMA_DIR, 'schema.prisma');
  using engine = await SchemaEngine.new(
    { datamodels: [[schemaPath, await readFile(schemaPath, 'utf8')]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: anyDatabaseUrl })),
  );
  const result = await engine.diff({
    from: { tag: 'empty' },
    to: { tag: 'schemaDatamodel', files: [{ path: schemaPath, content: await readFile(schemaPath, 'utf8') }] },
    script: true,
    exitCode: null,
    shadowDatabaseUrl: null,
    filters: NO_FILTER,
  } as Parameters<SchemaEngine['diff']>[0]);
  return (result as { stdout: string | null }).stdout ?? '';
}

if (import.meta.main) {
  const url = process.env.DATABASE_OWNER_URL;
  if (!url) throw new Error('DATABASE_OWNER_URL is not set: give the connection string of the role that owns the tables');
  if (process.argv[2] === '--print-schema') {
    process.stdout.write(await printSchemaSql(url));
  } else {
    const applied = await migrate(url);
    console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'database is up to date');
  }
}
