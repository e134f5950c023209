-- What the arena adds to the product's schema: time that the driver moves, and statements and connections that fail
-- when they are told to.

-- Microseconds since 1970. A sequence: like a clock, and unlike a table's row, it is the same for all at once, whatever
-- their transactions have seen, and cheap to read.
CREATE SEQUENCE torture_clock;
GRANT SELECT ON SEQUENCE torture_clock TO PUBLIC;

CREATE OR REPLACE FUNCTION atom_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN to_timestamp(pg_sequence_last_value('public.torture_clock') / 1e6::float8);
END $$;

CREATE FUNCTION torture_fail(state text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'told to fail' USING ERRCODE = state;
END $$;

CREATE FUNCTION torture_cut() RETURNS void LANGUAGE sql SECURITY DEFINER AS
    'SELECT pg_terminate_backend(pg_backend_pid())';

CREATE FUNCTION torture_empty() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
                WHERE schemaname = 'public' AND tablename <> 'schema_migrations' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$;

-- Whose leases have lapsed, told by whoever took the work back or went on with it.
CREATE TABLE torture_lapses (worker text PRIMARY KEY);

CREATE FUNCTION torture_lapse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO torture_lapses VALUES (OLD.worker) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_lapse AFTER UPDATE ON sync_chunks FOR EACH ROW
    WHEN (OLD.state = 'leased' AND OLD.lease_until < atom_now() AND NEW.fence <> OLD.fence)
    EXECUTE FUNCTION torture_lapse();

CREATE FUNCTION torture_completed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sync_chunks WHERE job_id = NEW.id AND state IN ('ready', 'leased')) THEN
        PERFORM torture_note('a job was completed while a chunk was left to do');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_completed AFTER UPDATE ON historical_sync_jobs FOR EACH ROW
    WHEN (NEW.status = 'completed' AND OLD.status <> 'completed') EXECUTE FUNCTION torture_completed();

CREATE FUNCTION torture_given_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM torture_note('a chunk was given up without a reason');
    RETURN NULL;
END $$;
CREATE TRIGGER torture_given_up AFTER UPDATE ON sync_chunks FOR EACH ROW
    WHEN (NEW.state = 'quarantined' AND NEW.error_code IS NULL) EXECUTE FUNCTION torture_given_up();
