-- The migrator's own book. It is the first migration and is run again at
-- every start before the book is read, so that it must stay re-runnable.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32                 COMMENT 'Number of the migration file',
    name       String                 COMMENT 'File name without its number and ending',
    checksum   String                 COMMENT 'SHA-256 of the file in hex; a file that changes after it was applied is refused by name',
    statements UInt16                 COMMENT 'How many statements the file holds',
    applied_at DateTime64(3, 'UTC')   COMMENT 'When the file was applied whole'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which numbered migrations this database has had. Read with FINAL.';
