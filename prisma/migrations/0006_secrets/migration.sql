CREATE TYPE "SecretScheme" AS ENUM ('bearer', 'basic', 'raw');

CREATE TABLE "DataKey" (
    "orgId" TEXT NOT NULL,
    "wrappedBy" TEXT NOT NULL,
    "wrapped" BYTEA NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "DataKey_pkey" PRIMARY KEY ("orgId")
);

CREATE TABLE "Secret" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "header" TEXT NOT NULL,
    "scheme" "SecretScheme" NOT NULL,
    "plainHttp" BOOLEAN NOT NULL DEFAULT false,
    "purposes" "MachinePurpose"[],
    "sealed" BYTEA NOT NULL,
    "createdById" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "setAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Secret_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "Secret_orgId_host_header_key" ON "Secret"("orgId", "host", "header");

ALTER TABLE "DataKey" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "DataKey" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "DataKey" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Secret" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Secret" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Secret" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

-- Which organizations' keys are still wrapped with a former key of the installation, never the keys.
GRANT SELECT ("orgId", "wrappedBy") ON "DataKey" TO warren_system;
CREATE POLICY sweep ON "DataKey" FOR SELECT TO warren_system USING (true);
