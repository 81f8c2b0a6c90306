-- No confirm in time: accepting -> withdrawn.
-- KEYS[3] ticket · ARGV: id, lifetime (ms)
local key, id = KEYS[3], ARGV[2]
local state = redis.call('HGET', key, 'state')
if state == 'accepting' then
  state = 'withdrawn'
  redis.call('HSET', key, 'state', state)
  -- The message may still arrive, and must find that it is not wanted.
  redis.call('PEXPIRE', key, ARGV[3])
  moved(key, id, true)
end
return state
