-- A ticket stands for its request no more. Somebody may have put another one in its place.
-- KEYS[1] the request · ARGV[1] the ticket
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
