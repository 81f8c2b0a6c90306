-- Writes a new ticket down, or says what stands there.
-- KEYS[3] ticket · ARGV: id, job, fingerprint, deadline, lifetime (ms)
local key, id, fingerprint = KEYS[3], ARGV[2], ARGV[4]
local held = redis.call('HMGET', key, 'state', 'fingerprint', 'rev')

-- A withdrawn attempt is not remembered, whatever it asked for; its revisions are counted on.
if held[1] and held[1] ~= 'withdrawn' then
  if held[2] ~= fingerprint then
    return { 'reused' }
  end
  return { 'known', redis.call('HGETALL', key) }
end

write(key, { json = ARGV[3], fingerprint = fingerprint, deadline = ARGV[5] }, 'accepting', held[3] or 0)
redis.call('HDEL', key, 'dead_lettered') -- all that a withdrawn ticket can have besides
-- Nothing is promised before the broker's confirm. If the process dies here the ticket goes by itself, after every
-- message it may have sent has passed its deadline. Becoming queued takes the lifetime away.
redis.call('PEXPIRE', key, ARGV[6])
moved(key, id)
return { 'new' }
