-- Partial indexes are not in schema.prisma, which has no words for them. They serve as long as statements are not prepared by name.

-- What a take-over looks for among the frames of a session: those to the agent, one in some hundred.
CREATE INDEX "AgentFrame_to_agent_idx" ON "AgentFrame"("sessionId", "id") WHERE "direction" = 'client';
-- Old frames are pruned. They lie in the order of their time.
CREATE INDEX "AgentFrame_at_idx" ON "AgentFrame" USING BRIN ("at");
-- Rows that are looked for by their kind. What the agent says is most of a timeline, is rewritten while it streams, and is not here.
CREATE INDEX "SessionEvent_sought_idx" ON "SessionEvent"("sessionId", "kind", "seq")
  WHERE "kind" IN ('message', 'turn_ended', 'suspended', 'error');

-- Rows of deleted snapshots stay. Every minute the others are looked through.
CREATE INDEX "Snapshot_kept_idx" ON "Snapshot"("orgId", "sessionId") WHERE "deletedAt" IS NULL;
DROP INDEX "Snapshot_orgId_sessionId_idx";
CREATE INDEX "Session_templateId_idx" ON "Session"("templateId");

-- By state alone, for the sweep. An organization's own queries are filtered by row-level security first, which lets no comparison of
-- enums into an index.
CREATE INDEX "Check_state_idx" ON "Check"("state");
DROP INDEX "Check_orgId_state_idx";
CREATE INDEX "Template_state_idx" ON "Template"("state");
CREATE INDEX "Template_orgId_repositoryId_createdAt_idx" ON "Template"("orgId", "repositoryId", "createdAt");
DROP INDEX "Template_orgId_repositoryId_state_idx";

CREATE INDEX "RepoEvent_changeId_commitSha_idx" ON "RepoEvent"("changeId", "commitSha");
CREATE INDEX "AuthSession_userId_idx" ON "AuthSession"("userId");
CREATE INDEX "RateLimit_resetAt_idx" ON "RateLimit"("resetAt");
