"""The tables of the read model.

Large texts (prompts, completions) stay on the log: these tables have their offsets. The values of finished tasks are in
a table of their own, so that a scan for a filter reads few pages.
"""

# A file with another number is made again from the log; change it with any change of the tables or their meaning.
VERSION = 1

TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    row INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    latest_ms INTEGER NOT NULL,
    id TEXT NOT NULL,
    pool_seq INTEGER NOT NULL,
    is_classification INTEGER,
    topic TEXT,
    model TEXT NOT NULL,
    depth INTEGER NOT NULL,
    distance REAL
);
CREATE INDEX tasks_by_offset ON tasks (partition, offset);
CREATE INDEX tasks_by_row ON tasks (partition);
CREATE INDEX tasks_by_time ON tasks (latest_ms);
CREATE INDEX tasks_by_id ON tasks (id);
CREATE INDEX tasks_by_pool_seq ON tasks (pool_seq);
CREATE INDEX tasks_by_filter ON tasks (is_classification, topic, model, depth, distance);
CREATE TABLE task_values (row INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE VIRTUAL TABLE task_texts USING fts5(
    instruction, inputs, outputs, content='', tokenize="unicode61 remove_diacritics 2"
);
CREATE TABLE pool (
    pool_seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    origin TEXT NOT NULL,
    instruction TEXT NOT NULL,
    prompt INTEGER,
    depth INTEGER NOT NULL,
    nearest INTEGER,
    score REAL,
    offset INTEGER NOT NULL,
    seed BLOB
);
CREATE INDEX pool_by_id ON pool (id);
CREATE INDEX pool_by_prompt ON pool (prompt) WHERE prompt IS NOT NULL;
CREATE INDEX seeds ON pool (pool_seq) WHERE origin = 'human';
CREATE TABLE prompts (prompt INTEGER PRIMARY KEY, partition INTEGER NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE shown (
    prompt INTEGER NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (prompt, place)
) WITHOUT ROWID;
CREATE INDEX shown_by_id ON shown (id);
CREATE TABLE answers (prompt INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE candidates (
    prompt INTEGER NOT NULL, position INTEGER NOT NULL, instruction TEXT NOT NULL, PRIMARY KEY (prompt, position)
) WITHOUT ROWID;
CREATE TABLE decisions (
    row INTEGER PRIMARY KEY,
    prompt INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    latest_ms INTEGER NOT NULL,
    judged INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    pool_size INTEGER NOT NULL,
    reasons TEXT NOT NULL
);
CREATE INDEX decisions_by_prompt ON decisions (prompt);
CREATE INDEX decisions_by_time ON decisions (latest_ms);
CREATE TABLE verdicts (
    row INTEGER PRIMARY KEY,
    decision INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    nearest TEXT,
    score REAL
);
CREATE INDEX verdicts_by_reason ON verdicts (reason);
CREATE INDEX verdicts_by_prompt ON verdicts (prompt, position);
CREATE TABLE classified (pool_seq INTEGER PRIMARY KEY, partition INTEGER NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE completed (pool_seq INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE yields (
    id TEXT PRIMARY KEY,
    prompts INTEGER NOT NULL,
    candidates INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    finished INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE seconds (
    second INTEGER PRIMARY KEY, picodollars INTEGER NOT NULL, unpriced INTEGER NOT NULL, finished INTEGER NOT NULL
);
CREATE TABLE bins (
    name TEXT NOT NULL, bin INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (name, bin)
) WITHOUT ROWID;
CREATE TABLE first_words (word TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bigrams (digest INTEGER PRIMARY KEY);
"""
