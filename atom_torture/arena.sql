-- What the arena adds to the product's schema: time that the driver moves, and statements and connections that fail
-- when they are told to.

CREATE TABLE torture_clock (began timestamptz NOT NULL, shift interval NOT NULL);
INSERT INTO torture_clock VALUES (clock_timestamp(), '0');
GRANT SELECT ON torture_clock TO PUBLIC;

CREATE OR REPLACE FUNCTION atom_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    'SELECT (SELECT began + shift FROM torture_clock)';

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
                WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations', 'torture_clock') LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$;
