-- Until when the password of an ended job could be taken, so that those which nobody took are found and written down.

ALTER TABLE history ADD COLUMN secret_expires_at timestamptz;

UPDATE history SET secret_expires_at = (ending ->> 'secret_expires_at')::timestamptz WHERE ending ? 'secret_expires_at';

CREATE INDEX history_by_secret_expiry ON history (secret_expires_at) WHERE secret_expires_at IS NOT NULL;
