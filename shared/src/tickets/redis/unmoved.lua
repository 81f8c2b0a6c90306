-- Unfinished tickets that have not moved for long, longest first. Each is shown to one worker, and again after as long.
-- ARGV: how many at most, what stands before an id in the key of its ticket, how long (ms)
local OVER = { succeeded = true, failed = true, cancelled = true, expired = true, withdrawn = true }
local at, shown = now(), {}
local since = string.format('%.0f', at - ARGV[4])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', unfinished, '-inf', since, 'LIMIT', 0, ARGV[2])) do
  local state = redis.call('HGET', ARGV[3] .. id, 'state')
  if state and not OVER[state] then
    redis.call('ZADD', unfinished, string.format('%.0f', at), id)
    shown[#shown + 1] = id
  else
    redis.call('ZREM', unfinished, id) -- its hash is gone, as that of a ticket which was never promised
  end
end
return shown
