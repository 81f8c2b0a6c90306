-- The broker has confirmed: accepting -> queued, and whether to ring.
-- KEYS[3] ticket, KEYS[4] bell, KEYS[5] line · ARGV: id, how long a bell counts as rung, a line's lifetime (ms)
local key, bell, line, id = KEYS[3], KEYS[4], KEYS[5], ARGV[2]
local held = redis.call('HMGET', key, 'state', 'deadline')
local state = held[1]
if not state then
  return { 'unknown', 0 }
end

if state == 'accepting' then
  state = 'queued'
  redis.call('HSET', key, 'state', state)
  redis.call('PERSIST', key)
  redis.call('ZADD', deadlines, held[2], id)
  join(key, line, ARGV[4])
  moved(key, id)
end

-- A lane that was faster holds the host already: no bell for it, and the key is left to those who need one.
local ring = state == 'queued' and redis.call('SET', bell, '1', 'NX', 'PX', ARGV[3])
return { state, ring and 1 or 0 }
