-- How much of the agent's stdout was stored when the message was delivered: what its turn may have kept is counted from here.
ALTER TABLE "Message" ADD COLUMN "agentOffset" BIGINT;
