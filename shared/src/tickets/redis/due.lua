-- Tickets that somebody has to look at now, oldest first.
-- ARGV: how many at most, what stands before an id in the key of its ticket
local due = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', deadlines, '-inf', string.format('%.0f', now()), 'LIMIT', 0, ARGV[2])) do
  local state = redis.call('HGET', ARGV[3] .. id, 'state')
  if state == 'queued' or state == 'closing' then
    due[#due + 1] = id
  else
    -- Its hash was evicted or deleted by hand. Left here it would come back for ever and hide the others.
    redis.call('ZREM', deadlines, id)
  end
end
return due
