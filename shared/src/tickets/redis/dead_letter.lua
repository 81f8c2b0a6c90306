-- Marks a ticket whose message was put aside; its state stays.
-- KEYS[3] ticket · ARGV: id, reason
local key, id = KEYS[3], ARGV[2]
if redis.call('EXISTS', key) == 1 then -- a field of a lost ticket would be half a ticket
  redis.call('HSET', key, 'dead_lettered', ARGV[3])
  moved(key, id)
end
