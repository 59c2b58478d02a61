-- serves: 6

-- A newer version may announce kinds that this one does not know, and passes over. What is known keeps its form. The table
-- holds about two hours of announcements, so reading it takes a moment.
ALTER TABLE revocations
    DROP CONSTRAINT revocations_kind_check,
    DROP CONSTRAINT revocations_check,
    DROP CONSTRAINT revocations_check1,
    ADD CONSTRAINT revocations_known CHECK (
        kind NOT IN ('session', 'user', 'user_changed', 'keys_changed')
        OR ((subject IS NULL) = (kind = 'keys_changed') AND (not_before IS NOT NULL) = (kind = 'user'))
    );
