-- How long a host is still blocked (ms, at most 0 if it is not), by the clock that said until when.
-- KEYS[1] host
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return (redis.call('HGET', KEYS[1], 'blocked_until') or now) - now
