-- queued -> closing. Its audit row is written next, by whoever asked or by whoever meets it.
-- KEYS[3] ticket · ARGV: id, as what, how long the first has before others see it as due (ms)
local key, id = KEYS[3], ARGV[2]
local state = redis.call('HGET', key, 'state')
if not state then
  return { 'unknown' }
end
if state == 'queued' then
  state = 'closing'
  redis.call('HSET', key, 'state', state, 'closing', ARGV[3])
  redis.call('ZADD', deadlines, string.format('%.0f', now() + ARGV[4]), id)
  moved(key, id)
end
return { state == 'closing' and 'closing' or 'not', redis.call('HGETALL', key) }
