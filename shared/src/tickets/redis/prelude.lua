-- The head of every script that changes tickets.
--
-- A ticket is one hash:
--   job, fingerprint, deadline   the job as JSON, once, and the two parts of it that scripts decide by
--   state, rev, attempts         what everybody sees; `attempts` is absent while it is zero
--   claim, alone                 who runs it; `alone` is there while that claim has an attempt counted
--   closing                      as what it is being closed
--   ending, finished_at          how and when it became final
--   dead_lettered                why its message was put aside
--
-- `deadlines` holds the tickets that a deadline can end, by the moment (ms) at which somebody has to look at them:
-- the queued and the closing ones. A running ticket is not in it, for no deadline ends it and it must not stand in
-- the way of those that are due.
--
-- `unfinished` holds every ticket that is not over, by the moment (ms) at which it last moved, so that those which do not
-- move any more can be found without looking at all.
--
-- `line` of a host counts who joined its queue and who was served; a ticket remembers as `place` which it was.
--
-- Changing state is checked here, in one step with the change: Redis runs one script at a time.
local deadlines, unfinished, channel = KEYS[1], KEYS[2], ARGV[1]

-- Deadlines are judged by the store's clock alone, so that processes whose clocks differ agree.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Every change is counted (it is the ETag) and told to who waits. `is_over`: nothing will follow.
local function moved(key, id, is_over)
  redis.call('HINCRBY', key, 'rev', 1)
  if is_over then
    redis.call('ZREM', unfinished, id)
  else
    redis.call('ZADD', unfinished, string.format('%.0f', now()), id)
  end
  redis.call('PUBLISH', channel, id)
end

-- Takes the next place in a host's line. The line goes by itself when nobody has joined for longer than a job can wait.
local function join(key, line, lifetime)
  redis.call('HSET', key, 'place', redis.call('HINCRBY', line, 'joined', 1))
  redis.call('PEXPIRE', line, lifetime)
end

-- HSET comes first in it: Redis refuses a script for want of memory only at its first write, and only if that one
-- takes memory. A full store must refuse tickets, not take them in secret.
local function write(key, job, state, rev)
  redis.call('HSET', key, 'job', job.json, 'fingerprint', job.fingerprint, 'deadline', job.deadline,
    'state', state, 'rev', rev)
end

-- A rebuilt ticket counts its revisions on from the clock: nobody can have seen one of these numbers before the
-- loss and take a changed ticket for an unchanged one.
local function rebuilt_revision()
  return string.format('%.0f', now())
end
