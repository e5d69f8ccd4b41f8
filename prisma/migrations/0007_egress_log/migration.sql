CREATE TABLE "EgressEntry" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "machineId" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "sessionId" TEXT,
    "at" TIMESTAMP(3) NOT NULL,
    "decision" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "port" INTEGER NOT NULL,
    "path" TEXT,
    "status" INTEGER,
    "bytesUp" BIGINT NOT NULL,
    "bytesDown" BIGINT NOT NULL,
    "ruleId" TEXT,
    "secretIds" TEXT[],
    CONSTRAINT "EgressEntry_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "EgressEntry_machineId_seq_key" ON "EgressEntry"("machineId", "seq");
CREATE INDEX "EgressEntry_orgId_id_idx" ON "EgressEntry"("orgId", "id");
CREATE INDEX "EgressEntry_orgId_sessionId_id_idx" ON "EgressEntry"("orgId", "sessionId", "id");
CREATE INDEX "EgressEntry_orgId_at_idx" ON "EgressEntry"("orgId", "at");

ALTER TABLE "EgressEntry" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "EgressEntry" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "EgressEntry" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));
REVOKE UPDATE ON "EgressEntry" FROM warren_app;
GRANT USAGE ON SEQUENCE "EgressEntry_id_seq" TO warren_app;
