-- A living worker lets go of what it has not done.
-- KEYS[3..] tickets · ARGV: claim, '1' if something of it may be committed on the host, then the ids
local claim, touched = ARGV[2], ARGV[3] == '1'
for n = 1, #KEYS - 2 do
  local key, id = KEYS[n + 2], ARGV[n + 3]
  local held = redis.call('HMGET', key, 'state', 'claim', 'alone', 'deadline')
  if held[1] == 'running' and held[2] == claim then
    if held[3] then
      -- The start before this one still has no outcome: a COMMIT may have been done. Queued, the ticket could be
      -- cancelled over a role that exists. It stays running, in nobody's hands, and runs alone again.
      redis.call('HINCRBY', key, 'attempts', -1)
    elseif not touched then
      redis.call('HSET', key, 'state', 'queued')
      redis.call('ZADD', deadlines, held[4], id)
    end
    redis.call('HDEL', key, 'claim', 'alone')
    moved(key, id)
  end
end
