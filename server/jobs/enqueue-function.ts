/*
 * pg-boss's insert as a function that the runtime role may call, because it may not touch the jobs themselves: they name
 * other tenants. enqueue.db.test.ts holds the row it makes against the one pg-boss's own `send` makes.
 *
 * When a job for the key is already waiting, its row is locked until the caller commits. A claim skips locked rows, so a
 * job that starts always sees what the caller wrote. Without the lock it could start, find nothing and end between the
 * insert that found it waiting and the commit: a lost wake-up.
 */
export const ENQUEUE_FUNCTION_SQL = `
CREATE OR REPLACE FUNCTION pgboss.warren_enqueue(queue_name text, payload jsonb, key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pgboss, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM queue WHERE name = queue_name) THEN
    RAISE EXCEPTION 'queue % does not exist: prepareQueues has not run on this database', queue_name;
  END IF;
  LOOP
    INSERT INTO job (
      name, data, singleton_key, policy, dead_letter, heartbeat_seconds, expire_seconds, deletion_seconds, keep_until,
      retry_limit, retry_delay, retry_backoff, retry_delay_max
    )
    SELECT
      q.name, payload, key, q.policy, q.dead_letter, q.heartbeat_seconds, q.expire_seconds, q.deletion_seconds,
      now() + q.retention_seconds * interval '1 second', q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max
    FROM queue q WHERE q.name = queue_name
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM pg_notify('pgboss_' || left(encode(sha224('pgboss'::bytea), 'hex'), 24), queue_name);
      RETURN;
    END IF;
    PERFORM 1 FROM job WHERE name = queue_name AND singleton_key = key AND state = 'created' FOR UPDATE;
    IF FOUND THEN RETURN; END IF;
    -- It was claimed while we waited for it: make a new one.
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION pgboss.warren_enqueue(text, jsonb, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgboss TO warren_app;
GRANT EXECUTE ON FUNCTION pgboss.warren_enqueue(text, jsonb, text) TO warren_app;
`;
