-- What the harness adds to the product's schema wherever it runs: rows that the database refuses, and notes of what may
-- never be.

CREATE FUNCTION torture_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.subject LIKE 'REFUSED %' THEN
        RAISE EXCEPTION 'told to refuse' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER torture_refuse BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION torture_refuse();

-- What may never be, not even for a moment, is noted by the change that makes it so, and goes when that is rolled back.
CREATE TABLE torture_violations (words text PRIMARY KEY);

CREATE FUNCTION torture_note(words text) RETURNS void LANGUAGE sql SECURITY DEFINER AS
    'INSERT INTO torture_violations VALUES (words) ON CONFLICT DO NOTHING';

CREATE FUNCTION torture_watch_chunk() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    worker text := nullif(current_setting('torture.worker', true), '');
BEGIN
    IF OLD.state = 'leased' AND OLD.lease_until >= atom_now() AND worker <> OLD.worker THEN
        PERFORM torture_note('a worker changed a chunk that another holds');
    END IF;
    IF NEW.fence < OLD.fence THEN
        PERFORM torture_note(format('a fence went from %s back to %s', OLD.fence, NEW.fence));
    END IF;
    IF NEW.state = 'leased' AND NEW.fence = OLD.fence AND (OLD.state <> 'leased' OR OLD.worker <> NEW.worker) THEN
        PERFORM torture_note('a claim did not raise the fence');
    END IF;
    IF NEW.position ->> 'at' > OLD.position ->> 'at' THEN
        PERFORM torture_note(format('a position went from %s back to %s', OLD.position ->> 'at', NEW.position ->> 'at'));
    END IF;
    IF NEW.has_more AND NOT OLD.has_more THEN
        PERFORM torture_note('a window that was read to its end has more again');
    END IF;
    IF OLD.state = 'done' AND NEW IS DISTINCT FROM OLD THEN
        PERFORM torture_note(format('a chunk that was done was changed (%s)', NEW.state));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_watch AFTER UPDATE ON sync_chunks FOR EACH ROW EXECUTE FUNCTION torture_watch_chunk();

CREATE FUNCTION torture_watch_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'completed' AND NEW.status <> 'completed' THEN
        PERFORM torture_note(format('a completed job is %s', NEW.status));
    END IF;
    IF NEW.progress_percentage < OLD.progress_percentage THEN
        PERFORM torture_note(format('percent went from %s to %s', OLD.progress_percentage, NEW.progress_percentage));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_watch AFTER UPDATE ON historical_sync_jobs FOR EACH ROW EXECUTE FUNCTION torture_watch_job();
