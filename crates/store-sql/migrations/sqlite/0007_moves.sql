-- serves: 7

-- Moving house: what `countersign store copy` notes, in the database that is left and in the one that is moved to. One
-- row, or none where nothing was ever copied.
CREATE TABLE moves (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- The same in both.
    copy BLOB NOT NULL,
    -- The process that copies; one that finds another here stops.
    holder BLOB NOT NULL,
    -- Of what is left: copying, closing, moved, reopened. Of what is moved to: filling, ready, complete.
    state TEXT NOT NULL,
    -- The other database, without its password.
    other TEXT NOT NULL,
    -- While it closes: until when, if it is not moved by then.
    closed_until INTEGER,
    -- How far a database that is moved to is filled.
    progress TEXT
) STRICT;
