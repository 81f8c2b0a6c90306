-- A lane takes a prefix of a batch.
-- KEYS[3] the host's line, KEYS[4..] tickets, in the order of the jobs · ARGV: claim, then per job: id, fingerprint
local line, claim = KEYS[3], ARGV[2]
local answers = {}

local function start(key, id, state)
  if state == 'accepting' then
    -- The message in the lane's hands proves what the intake has not heard yet: the broker has the job. So it
    -- becomes queued first, and the late confirm finds the state that it has then.
    redis.call('PERSIST', key)
    moved(key, id)
  end
  redis.call('ZREM', deadlines, id)
  redis.call('HSET', key, 'state', 'running', 'claim', claim)
  redis.call('HDEL', key, 'dead_lettered')
  local place = tonumber(redis.call('HGET', key, 'place') or 0)
  if place > tonumber(redis.call('HGET', line, 'served') or 0) then
    redis.call('HSET', line, 'served', place)
  end
  moved(key, id)
end

for n = 1, #KEYS - 3 do
  local key, id, fingerprint = KEYS[n + 3], ARGV[2 * n + 1], ARGV[2 * n + 2]
  local held = redis.call('HMGET', key, 'state', 'fingerprint', 'claim', 'alone', 'attempts')
  local state, mine = held[1], held[3] == claim

  if not state then
    answers[n] = { 'unknown' }
  elseif held[2] ~= fingerprint then
    -- The late message of a withdrawn attempt; the id stands for another request by now.
    answers[n] = { 'superseded' }
  elseif state == 'accepting' or state == 'queued' then
    start(key, id, state)
    answers[n] = { 'started' }
  elseif state == 'running' and mine and not held[4] then
    -- The same claim once more: its first answer was lost on the way.
    answers[n] = { 'started' }
  elseif state == 'running' then
    -- A start without an outcome. Nobody knows what it does to a worker, so it shares a batch with nobody.
    if n > 1 then
      break
    end
    local attempts = tonumber(held[5] or 0)
    if not mine then
      attempts = redis.call('HINCRBY', key, 'attempts', 1)
      redis.call('HSET', key, 'claim', claim, 'alone', '1')
      moved(key, id)
    end
    answers[n] = { 'alone', attempts }
    break
  elseif state == 'closing' then
    answers[n] = { 'closing', redis.call('HGETALL', key) }
  else
    answers[n] = { 'final', redis.call('HGETALL', key) }
  end
end
return answers
