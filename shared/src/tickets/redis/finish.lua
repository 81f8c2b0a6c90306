-- Makes tickets final. One script for the three ways to that, because they differ only in who may.
-- KEYS[3..]: per ticket: ticket, secret
-- ARGV: way, claim, lifetime of a ticket (ms), of a secret (ms),
--       then per ticket: id, job, fingerprint, deadline, state, ending, finished_at, finished_at (ms), secret (1 or 0)
local way, claim, ticket_lifetime, secret_lifetime = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local FIELDS = 9
local FINAL = { succeeded = true, failed = true, cancelled = true, expired = true }
local at = now()

local function may(state, held_by, closing, becomes)
  if not state then
    -- Lost by the store: what is written down in the audit must stand here too.
    return true
  elseif way == 'settle' then
    return state == 'running' and held_by == claim and (becomes == 'succeeded' or becomes == 'failed')
  elseif way == 'close' then
    return state == 'closing' and closing == becomes
  else
    -- History knows it as final: it outranks every other state, for the store may have come back older.
    return not FINAL[state]
  end
end

local function keep_secret(secret, finished)
  if redis.call('PTTL', secret) ~= -1 then
    return -- there is none, or it has its lifetime: never a second one
  end
  local left = secret_lifetime
  if way == 'restore' then
    left = math.min(finished - at, 0) + secret_lifetime -- it ended some time ago
  end
  redis.call('PEXPIRE', secret, string.format('%.0f', left))
end

local answers = {}
for n = 1, (#KEYS - 2) / 2 do
  local key, secret = KEYS[2 * n + 1], KEYS[2 * n + 2]
  local base = 5 + FIELDS * (n - 1)
  local id, becomes = ARGV[base + 1], ARGV[base + 5]
  local held = redis.call('HMGET', key, 'state', 'claim', 'closing')

  if may(held[1], held[2], held[3], becomes) then
    if not held[1] then
      local job = { json = ARGV[base + 2], fingerprint = ARGV[base + 3], deadline = ARGV[base + 4] }
      write(key, job, becomes, rebuilt_revision())
    end
    redis.call('HSET', key, 'state', becomes, 'ending', ARGV[base + 6], 'finished_at', ARGV[base + 7])
    redis.call('HDEL', key, 'claim', 'alone', 'closing')
    redis.call('PEXPIRE', key, ticket_lifetime)
    redis.call('ZREM', deadlines, id)
    if ARGV[base + 9] == '1' then
      keep_secret(secret, tonumber(ARGV[base + 8]))
    else
      redis.call('UNLINK', secret) -- made before the outcome was known, and of no use to anybody
    end
    moved(key, id, true)
    answers[n] = 1
  else
    answers[n] = 0
  end
end
return answers
