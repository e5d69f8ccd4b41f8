-- The organization whose machines are on a host that does not keep organizations apart, null until one comes.
ALTER TABLE "Host" ADD COLUMN "holderOrgId" TEXT;
