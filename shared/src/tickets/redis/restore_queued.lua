-- Rebuilds a lost ticket from its message.
-- KEYS[3] ticket, KEYS[4] line · ARGV: id, job, fingerprint, deadline, a line's lifetime (ms)
local key, line, id = KEYS[3], KEYS[4], ARGV[2]
if redis.call('EXISTS', key) == 0 then
  write(key, { json = ARGV[3], fingerprint = ARGV[4], deadline = ARGV[5] }, 'queued', rebuilt_revision())
  redis.call('ZADD', deadlines, ARGV[5], id)
  join(key, line, ARGV[6])
  moved(key, id)
end
