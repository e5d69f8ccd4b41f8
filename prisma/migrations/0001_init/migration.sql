-- Roles are created by prisma/bootstrap.ts: warren_owner (owns these tables, migrations only), warren_app (runtime: not
-- owner, no BYPASSRLS) and warren_system (sweeps over all organizations: may read, not write, tenant rows).

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "Role" AS ENUM ('owner', 'admin', 'developer', 'viewer');

-- CreateEnum
CREATE TYPE "RepositoryProvider" AS ENUM ('builtin', 'github', 'gitlab');

-- CreateEnum
CREATE TYPE "TemplateState" AS ENUM ('building', 'ready', 'failed', 'retired');

-- CreateEnum
CREATE TYPE "SessionState" AS ENUM ('created', 'provisioning', 'running', 'suspending', 'suspended', 'resuming', 'stopping', 'stopped', 'failed');

-- CreateEnum
CREATE TYPE "MessageKind" AS ENUM ('task', 'message', 'check_failed', 'review_comment');

-- CreateEnum
CREATE TYPE "MessageState" AS ENUM ('queued', 'delivered', 'done', 'failed');

-- CreateEnum
CREATE TYPE "MachinePurpose" AS ENUM ('session', 'template', 'check');

-- CreateEnum
CREATE TYPE "ChangeState" AS ENUM ('open', 'merged', 'closed');

-- CreateEnum
CREATE TYPE "CheckState" AS ENUM ('queued', 'running', 'passed', 'failed', 'errored', 'superseded');

-- CreateTable
CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "name" TEXT,
    "email" TEXT NOT NULL,
    "emailVerified" TIMESTAMP(3),
    "image" TEXT,
    "passwordHash" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Account" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "providerAccountId" TEXT NOT NULL,
    "refresh_token" TEXT,
    "access_token" TEXT,
    "expires_at" INTEGER,
    "token_type" TEXT,
    "scope" TEXT,
    "id_token" TEXT,
    "session_state" TEXT,

    CONSTRAINT "Account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AuthSession" (
    "id" TEXT NOT NULL,
    "sessionToken" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "expires" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AuthSession_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "VerificationToken" (
    "identifier" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "expires" TIMESTAMP(3) NOT NULL
);

-- CreateTable
CREATE TABLE "RateLimit" (
    "key" TEXT NOT NULL,
    "count" INTEGER NOT NULL,
    "resetAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "RateLimit_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "Organization" (
    "id" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "policy" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "Organization_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Member" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "role" "Role" NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Member_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Repository" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "provider" "RepositoryProvider" NOT NULL DEFAULT 'builtin',
    "defaultBranch" TEXT NOT NULL DEFAULT 'main',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Repository_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Template" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "repositoryId" TEXT NOT NULL,
    "state" "TemplateState" NOT NULL,
    "commitSha" TEXT NOT NULL,
    "environment" JSONB NOT NULL,
    "hostId" TEXT,
    "snapshotId" TEXT,
    "agent" JSONB,
    "agentOffset" BIGINT NOT NULL DEFAULT 0,
    "failure" TEXT,
    "log" TEXT NOT NULL DEFAULT '',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "readyAt" TIMESTAMP(3),

    CONSTRAINT "Template_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Session" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "repositoryId" TEXT NOT NULL,
    "createdById" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "state" "SessionState" NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 0,
    "stateSince" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deadlineAt" TIMESTAMP(3),
    "stateReason" TEXT,
    "branch" TEXT NOT NULL,
    "baseSha" TEXT NOT NULL,
    "templateId" TEXT,
    "machineId" TEXT,
    "snapshotId" TEXT,
    "hostId" TEXT,
    "lease" INTEGER NOT NULL DEFAULT 0,
    "agentName" TEXT NOT NULL,
    "modelName" TEXT NOT NULL,
    "scripted" BOOLEAN NOT NULL DEFAULT false,
    "agentSessionId" TEXT,
    "agentOffset" BIGINT NOT NULL DEFAULT 0,
    "nextRpcId" INTEGER NOT NULL DEFAULT 100,
    "activeAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "worktree" JSONB,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMP(3),

    CONSTRAINT "Session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "SessionTransition" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "machineId" TEXT,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "SessionTransition_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Message" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "kind" "MessageKind" NOT NULL,
    "text" TEXT NOT NULL,
    "authorId" TEXT,
    "sourceId" TEXT,
    "state" "MessageState" NOT NULL DEFAULT 'queued',
    "rpcId" INTEGER,
    "stopReason" TEXT,
    "cancelAt" TIMESTAMP(3),
    "reply" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deliveredAt" TIMESTAMP(3),
    "doneAt" TIMESTAMP(3),

    CONSTRAINT "Message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "SessionEvent" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "rev" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "SessionEvent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AgentFrame" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT NOT NULL,
    "machineId" TEXT NOT NULL,
    "direction" TEXT NOT NULL,
    "offset" BIGINT NOT NULL,
    "frame" JSONB NOT NULL,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "AgentFrame_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Host" (
    "id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "accelerator" TEXT NOT NULL,
    "info" JSONB NOT NULL,
    "lastSeenAt" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Host_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Machine" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "hostId" TEXT NOT NULL,
    "purpose" "MachinePurpose" NOT NULL,
    "sessionId" TEXT,
    "templateId" TEXT,
    "checkId" TEXT,
    "lease" INTEGER NOT NULL,
    "bootId" TEXT,
    "agentProcess" JSONB,
    "sourceSnapshotId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMP(3),
    "endedHow" TEXT,

    CONSTRAINT "Machine_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Snapshot" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "hostId" TEXT NOT NULL,
    "machineId" TEXT NOT NULL,
    "sessionId" TEXT,
    "templateId" TEXT,
    "manifest" JSONB NOT NULL,
    "storedBytes" BIGINT NOT NULL,
    "releasedMs" DOUBLE PRECISION NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "Snapshot_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Change" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "repositoryId" TEXT NOT NULL,
    "sessionId" TEXT,
    "number" INTEGER NOT NULL,
    "title" TEXT NOT NULL,
    "branch" TEXT NOT NULL,
    "baseBranch" TEXT NOT NULL,
    "baseSha" TEXT NOT NULL,
    "headSha" TEXT NOT NULL,
    "state" "ChangeState" NOT NULL DEFAULT 'open',
    "mergedSha" TEXT,
    "mergedById" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMP(3),

    CONSTRAINT "Change_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Check" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "repositoryId" TEXT NOT NULL,
    "changeId" TEXT,
    "commitSha" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "command" TEXT NOT NULL,
    "state" "CheckState" NOT NULL DEFAULT 'queued',
    "exitCode" INTEGER,
    "log" TEXT NOT NULL DEFAULT '',
    "machineId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "startedAt" TIMESTAMP(3),
    "finishedAt" TIMESTAMP(3),

    CONSTRAINT "Check_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ReviewThread" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "changeId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "line" INTEGER NOT NULL,
    "side" TEXT NOT NULL DEFAULT 'new',
    "commitSha" TEXT NOT NULL,
    "lineText" TEXT NOT NULL,
    "resolvedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ReviewThread_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ReviewComment" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "threadId" TEXT NOT NULL,
    "authorId" TEXT,
    "sessionId" TEXT,
    "body" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ReviewComment_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RepoEvent" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "repositoryId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "changeId" TEXT,
    "commitSha" TEXT,
    "deliveryId" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "RepoEvent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Wake" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT NOT NULL,
    "cause" TEXT NOT NULL,
    "repoEventId" TEXT,
    "messageId" TEXT,
    "requestedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resumedAt" TIMESTAMP(3),
    "deliveredAt" TIMESTAMP(3),
    "latencyMs" DOUBLE PRECISION,
    "sameBootId" BOOLEAN,
    "sameAgentProcess" BOOLEAN,
    "outcome" TEXT NOT NULL DEFAULT 'pending',
    "detail" TEXT,

    CONSTRAINT "Wake_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AuditEntry" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "details" JSONB NOT NULL DEFAULT '{}',
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "AuditEntry_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "UsageEntry" (
    "id" BIGSERIAL NOT NULL,
    "orgId" TEXT NOT NULL,
    "sessionId" TEXT,
    "machineId" TEXT,
    "provider" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "inputTokens" INTEGER NOT NULL,
    "outputTokens" INTEGER NOT NULL,
    "status" INTEGER NOT NULL,
    "durationMs" INTEGER NOT NULL,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "UsageEntry_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");

-- CreateIndex
CREATE UNIQUE INDEX "Account_provider_providerAccountId_key" ON "Account"("provider", "providerAccountId");

-- CreateIndex
CREATE UNIQUE INDEX "AuthSession_sessionToken_key" ON "AuthSession"("sessionToken");

-- CreateIndex
CREATE UNIQUE INDEX "VerificationToken_token_key" ON "VerificationToken"("token");

-- CreateIndex
CREATE UNIQUE INDEX "VerificationToken_identifier_token_key" ON "VerificationToken"("identifier", "token");

-- CreateIndex
CREATE UNIQUE INDEX "Organization_slug_key" ON "Organization"("slug");

-- CreateIndex
CREATE INDEX "Member_userId_idx" ON "Member"("userId");

-- CreateIndex
CREATE UNIQUE INDEX "Member_orgId_userId_key" ON "Member"("orgId", "userId");

-- CreateIndex
CREATE UNIQUE INDEX "Repository_orgId_slug_key" ON "Repository"("orgId", "slug");

-- CreateIndex
CREATE INDEX "Template_orgId_repositoryId_state_idx" ON "Template"("orgId", "repositoryId", "state");

-- CreateIndex
CREATE INDEX "Session_orgId_createdAt_idx" ON "Session"("orgId", "createdAt");

-- CreateIndex
CREATE INDEX "Session_orgId_repositoryId_idx" ON "Session"("orgId", "repositoryId");

-- CreateIndex
CREATE INDEX "Session_state_deadlineAt_idx" ON "Session"("state", "deadlineAt");

-- CreateIndex
CREATE INDEX "SessionTransition_sessionId_id_idx" ON "SessionTransition"("sessionId", "id");

-- CreateIndex
CREATE INDEX "Message_sessionId_state_seq_idx" ON "Message"("sessionId", "state", "seq");

-- CreateIndex
CREATE INDEX "SessionEvent_sessionId_rev_idx" ON "SessionEvent"("sessionId", "rev");

-- CreateIndex
CREATE UNIQUE INDEX "SessionEvent_sessionId_seq_key" ON "SessionEvent"("sessionId", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "AgentFrame_sessionId_machineId_direction_offset_key" ON "AgentFrame"("sessionId", "machineId", "direction", "offset");

-- CreateIndex
CREATE INDEX "Machine_orgId_sessionId_idx" ON "Machine"("orgId", "sessionId");

-- CreateIndex
CREATE INDEX "Machine_hostId_endedAt_idx" ON "Machine"("hostId", "endedAt");

-- CreateIndex
CREATE INDEX "Snapshot_orgId_sessionId_idx" ON "Snapshot"("orgId", "sessionId");

-- CreateIndex
CREATE INDEX "Change_orgId_state_idx" ON "Change"("orgId", "state");

-- CreateIndex
CREATE INDEX "Change_sessionId_idx" ON "Change"("sessionId");

-- CreateIndex
CREATE UNIQUE INDEX "Change_repositoryId_number_key" ON "Change"("repositoryId", "number");

-- CreateIndex
CREATE INDEX "Check_orgId_state_idx" ON "Check"("orgId", "state");

-- CreateIndex
CREATE UNIQUE INDEX "Check_changeId_commitSha_name_key" ON "Check"("changeId", "commitSha", "name");

-- CreateIndex
CREATE INDEX "ReviewThread_changeId_idx" ON "ReviewThread"("changeId");

-- CreateIndex
CREATE INDEX "ReviewComment_threadId_idx" ON "ReviewComment"("threadId");

-- CreateIndex
CREATE UNIQUE INDEX "RepoEvent_repositoryId_deliveryId_key" ON "RepoEvent"("repositoryId", "deliveryId");

-- CreateIndex
CREATE INDEX "Wake_sessionId_requestedAt_idx" ON "Wake"("sessionId", "requestedAt");

-- CreateIndex
CREATE INDEX "AuditEntry_orgId_id_idx" ON "AuditEntry"("orgId", "id");

-- CreateIndex
CREATE INDEX "UsageEntry_orgId_at_idx" ON "UsageEntry"("orgId", "at");

-- AddForeignKey
ALTER TABLE "Account" ADD CONSTRAINT "Account_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "AuthSession" ADD CONSTRAINT "AuthSession_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Member" ADD CONSTRAINT "Member_orgId_fkey" FOREIGN KEY ("orgId") REFERENCES "Organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Member" ADD CONSTRAINT "Member_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- ---------------------------------------------------------------- rights

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO warren_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO warren_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO warren_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO warren_app;

-- What happened stays as it was written, whatever the runtime is talked into.
REVOKE UPDATE, DELETE ON "AuditEntry", "SessionTransition" FROM warren_app;
REVOKE ALL ON "_prisma_migrations" FROM warren_app;

GRANT SELECT ON
  "Organization", "Repository", "Template", "Session", "Message", "Machine", "Snapshot", "Change", "Check", "Wake"
  TO warren_system;
-- Computers that run hostd belong to the installation, not to a tenant.
REVOKE INSERT, UPDATE, DELETE ON "Host" FROM warren_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON "Host" TO warren_system;

-- ---------------------------------------------------------------- row-level security

-- Every table with an "orgId". No setting, no rows: `nullif` turns the empty string that a finished transaction leaves
-- behind into null. FORCE because the owner would otherwise see everything. Written out, because the engine that applies
-- this splits at semicolons, also inside a DO block.

ALTER TABLE "Member" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Member" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Member" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Repository" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Repository" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Repository" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Template" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Template" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Template" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Session" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Session" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Session" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "SessionTransition" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "SessionTransition" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "SessionTransition" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Message" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Message" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "SessionEvent" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "SessionEvent" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "SessionEvent" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "AgentFrame" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "AgentFrame" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "AgentFrame" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Machine" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Machine" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Machine" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Snapshot" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Snapshot" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Snapshot" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Change" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Change" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Change" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Check" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Check" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Check" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "ReviewThread" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "ReviewThread" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "ReviewThread" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "ReviewComment" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "ReviewComment" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "ReviewComment" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "RepoEvent" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "RepoEvent" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "RepoEvent" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Wake" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Wake" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Wake" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "AuditEntry" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "AuditEntry" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "AuditEntry" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "UsageEntry" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "UsageEntry" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "UsageEntry" TO warren_app
  USING ("orgId" = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK ("orgId" = nullif(current_setting('warren.org_id', true), ''));

ALTER TABLE "Organization" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Organization" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "Organization" TO warren_app
  USING (id = nullif(current_setting('warren.org_id', true), ''))
  WITH CHECK (id = nullif(current_setting('warren.org_id', true), ''));

-- Before any organization is chosen, a signed-in person may see where they are a member, and nothing else.
CREATE POLICY own_memberships ON "Member" FOR SELECT TO warren_app
  USING ("userId" = nullif(current_setting('warren.user_id', true), ''));
CREATE POLICY own_organizations ON "Organization" FOR SELECT TO warren_app
  USING (EXISTS (
    SELECT 1 FROM "Member" m
    WHERE m."orgId" = "Organization".id AND m."userId" = nullif(current_setting('warren.user_id', true), '')
  ));

CREATE POLICY sweep ON "Organization" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Repository" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Template" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Session" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Message" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Machine" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Snapshot" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Change" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Check" FOR SELECT TO warren_system USING (true);
CREATE POLICY sweep ON "Wake" FOR SELECT TO warren_system USING (true);
