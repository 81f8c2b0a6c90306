-- Counts a failure of a host and blocks it for a while.
-- KEYS[1] host · ARGV: code, cause, then the delay (ms) after the first failure, the second, …; the last goes on
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
local delay = ARGV[2 + math.min(failures, #ARGV - 2)]
redis.call('HSETNX', KEYS[1], 'since', string.format('%.0f', now))
redis.call('HSET', KEYS[1], 'code', ARGV[1], 'cause', ARGV[2], 'blocked_until', string.format('%.0f', now + delay))
return tonumber(delay)
