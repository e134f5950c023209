-- A tenant's memory is always the table `passages` in its folder: a rebuild, which makes it anew in a dataset beside,
-- puts that one's rows in its place in one commit. So no row has to name what is in use, and of what lies beside there
-- is one at most. See memory/postgres.py.

ALTER TABLE memories
    ADD building text,
    ADD mark bigint,
    ADD swapping text[],
    ADD CHECK ((building IS NULL) = (mark IS NULL)),
    ADD CHECK (swapping IS NULL OR building IS NOT NULL);
COMMENT ON COLUMN memories.building IS 'The rebuild that is at work, or that has died.';
COMMENT ON COLUMN memories.mark IS 'Every transaction that it may not have seen is this one or a later one.';
COMMENT ON COLUMN memories.swapping IS
    'While its rows are put in place: how the generations of its messages are named, now and as remade (memory/rows.py).';

-- Where another dataset was in use, the one in the tenant's folder is older: pages that were written to either have to
-- be written again, and what is missing is found by the sweep or by `verify`.
UPDATE memories SET epoch = epoch + 1 WHERE dataset <> '';
ALTER TABLE memories DROP dataset;
DROP TABLE memory_datasets;
