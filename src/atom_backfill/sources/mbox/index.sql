-- name: create_folder
-- A folder; `rank` is 1 where a backfill leaves it out unless it is named, so that copies elsewhere count as first.
CREATE TABLE IF NOT EXISTS folder (
    id INTEGER PRIMARY KEY,
    folder_id TEXT NOT NULL UNIQUE,
    segments TEXT NOT NULL,
    well_known TEXT NOT NULL,
    rank INTEGER NOT NULL
);

-- name: create_file
-- A file; what it held counts as long as size and mtime_ns stay. Scanning goes on at `scanned`. `seen`: the last walk.
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    folder INTEGER NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    scanned INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0
);

-- name: create_item
-- A message, as scan.Entry has it. `received`: seconds since 1970; far below zero for none. `problem`: an error code.
CREATE TABLE IF NOT EXISTS item (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    start INTEGER NOT NULL,
    length INTEGER NOT NULL,
    quoted INTEGER NOT NULL,
    digest BLOB NOT NULL,
    received INTEGER NOT NULL,
    problem TEXT NOT NULL DEFAULT ''
);

-- name: create_walk
-- Numbers the walks over the tree, so that two at once cannot take each other's files for gone.
CREATE TABLE IF NOT EXISTS walk (id INTEGER PRIMARY KEY AUTOINCREMENT);

-- name: create_item_by_date
-- Windows, newest first.
CREATE INDEX IF NOT EXISTS item_by_date ON item (folder, received DESC, digest, id);

-- name: create_item_by_digest
-- One message, and its copies.
CREATE INDEX IF NOT EXISTS item_by_digest ON item (digest);

-- name: create_item_by_file
-- What to drop when a file changes.
CREATE INDEX IF NOT EXISTS item_by_file ON item (file);

-- name: create_item_problems
-- What to try again.
CREATE INDEX IF NOT EXISTS item_problems ON item (file) WHERE problem <> '';

-- name: create_file_to_do
-- What is still to be scanned.
CREATE INDEX IF NOT EXISTS file_to_do ON file (path) WHERE NOT done;

-- name: begin_walk
-- Take the next number.
INSERT INTO walk DEFAULT VALUES RETURNING id;

-- name: add_folder
-- Make the folder known; returns its row's id.
INSERT INTO folder (folder_id, segments, well_known, rank) VALUES (:folder_id, :segments, :well_known, :rank)
ON CONFLICT (folder_id) DO UPDATE SET segments = excluded.segments, well_known = excluded.well_known, rank = excluded.rank
RETURNING id;

-- name: find_file
-- What is known of a path.
SELECT id, folder, kind, size, mtime_ns FROM file WHERE path = :path;

-- name: add_file
-- A path met for the first time.
INSERT INTO file (path, folder, kind, size, mtime_ns, seen) VALUES (:path, :folder, :kind, :size, :mtime_ns, :seen);

-- name: see_file
-- A file that is as it was.
UPDATE file SET seen = max(seen, :seen) WHERE id = :id;

-- name: change_file
-- A file that is not what it was: scanned anew from its start.
UPDATE file
SET folder = :folder, kind = :kind, size = :size, mtime_ns = :mtime_ns, seen = max(seen, :seen), scanned = 0, done = 0
WHERE id = :id;

-- name: distrust_file
-- A file whose bytes are not what they were although it looks the same: the next walk takes it for changed.
UPDATE file SET mtime_ns = -1 WHERE path = :path;

-- name: drop_items
-- Forget what a file held.
DELETE FROM item WHERE file = :id;

-- name: drop_items_of_unseen
-- Forget what files held that are gone.
DELETE FROM item WHERE file IN (SELECT id FROM file WHERE seen < :seen);

-- name: drop_unseen
-- Forget the files that are gone.
DELETE FROM file WHERE seen < :seen;

-- name: reopen_problems
-- Files that could not be read are tried again after each walk.
UPDATE file SET scanned = 0, done = 0 WHERE id IN (SELECT file FROM item WHERE problem = 'unreadable_file');

-- name: drop_problems
-- Their items are made anew.
DELETE FROM item WHERE problem = 'unreadable_file';

-- name: to_do
-- The next files to scan, in the order of their paths.
SELECT id, path, folder, kind, size, mtime_ns, scanned FROM file WHERE NOT done ORDER BY path LIMIT :limit;

-- name: advance
-- Move a file's position, unless another process has moved it or the file has changed.
UPDATE file SET scanned = :scanned, done = :done
WHERE id = :id AND scanned = :expected AND size = :size AND mtime_ns = :mtime_ns AND NOT done;

-- name: add_item
-- A message found.
INSERT INTO item (file, folder, start, length, quoted, digest, received, problem)
VALUES (:file, :folder, :start, :length, :quoted, :digest, :received, :problem);

-- name: progress
-- Bytes scanned, and bytes in all.
SELECT coalesce(sum(CASE WHEN done THEN size ELSE scanned END), 0), coalesce(sum(size), 0) FROM file;

-- name: folders
-- Folders that have a file, with how many different messages they hold.
SELECT folder.folder_id, folder.segments, folder.well_known, count(DISTINCT item.digest)
FROM folder LEFT JOIN item ON item.folder = folder.id
WHERE EXISTS (SELECT 1 FROM file WHERE file.folder = folder.id)
GROUP BY folder.id ORDER BY folder.folder_id;

-- name: folder_row
-- The row of a folder that still has a file.
SELECT id FROM folder WHERE folder_id = :folder_id AND EXISTS (SELECT 1 FROM file WHERE file.folder = folder.id);

-- name: count
-- How many different messages a folder holds in a window.
SELECT count(DISTINCT digest) FROM item WHERE folder = :folder AND received >= :start AND received < :end;

-- name: messages
-- Messages of a window, newest first, each once, after a key.
SELECT item.digest, item.received, item.id, item.start, item.length, item.quoted, item.problem, file.path
FROM item JOIN file ON file.id = item.file
WHERE item.folder = :folder AND item.received >= :start AND item.received < :end
  AND item.received <= :after_received AND (item.received < :after_received OR item.digest > :after_digest)
  AND NOT EXISTS (
    SELECT 1 FROM item AS other WHERE other.digest = item.digest AND other.folder = item.folder AND other.id < item.id
  )
ORDER BY item.received DESC, item.digest
LIMIT :limit;

-- name: places
-- Places of a window, newest first, after a key; a place is a duplicate where the same content lies before it.
SELECT item.digest, item.received, item.id, EXISTS (
    SELECT 1 FROM item AS other
    JOIN file AS other_file ON other_file.id = other.file
    JOIN folder AS other_folder ON other_folder.id = other.folder
    WHERE other.digest = item.digest AND other.id <> item.id
      AND (other_folder.rank, other_folder.folder_id, other_file.path, other.start)
        < (folder.rank, folder.folder_id, file.path, item.start)
  ) AS duplicate
FROM item JOIN file ON file.id = item.file JOIN folder ON folder.id = item.folder
WHERE item.folder = :folder AND item.received >= :start AND item.received < :end
  AND item.received <= :after_received
  AND (item.received < :after_received OR (item.digest, item.id) > (:after_digest, :after_id))
ORDER BY item.received DESC, item.digest, item.id
LIMIT :limit;

-- name: find_message
-- The first place of a message.
SELECT item.digest, item.received, item.id, item.start, item.length, item.quoted, item.problem, file.path, folder.folder_id
FROM item JOIN file ON file.id = item.file JOIN folder ON folder.id = item.folder
WHERE item.digest = :digest
ORDER BY folder.rank, folder.folder_id, file.path, item.start
LIMIT 1;
