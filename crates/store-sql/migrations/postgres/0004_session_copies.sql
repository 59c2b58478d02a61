-- serves: 4

-- Which copy of the sessions in Redis is in use: its keys carry the number. One row, made by the first instance with
-- Redis. Raising the number makes everything worthless that was copied before.
CREATE TABLE session_copies (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    installation UUID NOT NULL,
    epoch BIGINT NOT NULL CHECK (epoch > 0)
);
