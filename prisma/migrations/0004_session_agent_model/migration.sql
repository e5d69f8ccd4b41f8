ALTER TABLE "Session" ADD COLUMN "agentModel" TEXT;
