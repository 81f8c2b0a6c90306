-- Which ticket stands for a request: of many who ask at once, one puts a ticket there and the others are told of it.
-- KEYS[1] the request · ARGV: a fresh ticket, the one that is spent (or nothing), lifetime (ms)
local held = redis.call('GET', KEYS[1])
if not held or held == ARGV[2] then
  held = ARGV[1]
end
redis.call('SET', KEYS[1], held, 'PX', ARGV[3])
return held
