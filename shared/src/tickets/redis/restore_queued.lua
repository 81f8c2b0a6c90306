-- Rebuilds a lost ticket from its message.
-- KEYS[2] ticket · ARGV: id, job, fingerprint, deadline
local key, id = KEYS[2], ARGV[2]
if redis.call('EXISTS', key) == 0 then
  write(key, { json = ARGV[3], fingerprint = ARGV[4], deadline = ARGV[5] }, 'queued', rebuilt_revision())
  redis.call('ZADD', deadlines, ARGV[5], id)
  moved(key, id)
end
