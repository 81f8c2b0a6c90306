-- Whether the store holds every ticket. It says so for one start of the server only: one that starts again may have
-- come back older, and one that was emptied says nothing. While somebody rebuilds it says who, for a while.
-- KEYS[1] what it says · ARGV: ask | begin | keep | give_up | end, the name of a rebuilding, how long it may be silent (ms)
local step, whole = ARGV[1], string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local said, mine = redis.call('GET', KEYS[1]), whole .. ' ' .. ARGV[2]
local function say(what, ...)
  redis.call('SET', KEYS[1], what, ...)
  return 1
end

if step == 'ask' then
  return said == whole and 1 or 0
elseif step == 'begin' then
  -- Of an earlier start nothing counts. One of this start is somebody else's until it falls silent.
  local is_free = not said or string.sub(said, 1, #whole) ~= whole
  return is_free and say(mine, 'PX', ARGV[3]) or 0
elseif said ~= mine then
  return 0 -- emptied or started again meanwhile: what was rebuilt may be lost again
elseif step == 'keep' then
  return say(mine, 'PX', ARGV[3])
elseif step == 'give_up' then
  return redis.call('DEL', KEYS[1])
end
return say(whole)
