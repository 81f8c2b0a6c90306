-- The first secret stored for a ticket stays: a redelivered job must find the password that may be on the role
-- already. No lifetime here; it begins when the ticket is settled.
-- KEYS secrets · ARGV sealed bytes
local kept = {}
for n = 1, #KEYS do
  redis.call('SET', KEYS[n], ARGV[n], 'NX')
  kept[n] = redis.call('GET', KEYS[n])
end
return kept
