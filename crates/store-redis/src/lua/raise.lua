-- Tells of a rotation that happened in the database. Never lowers a generation, never makes a key.
-- ARGV: generation, rotated_at, idle_expires_at, now, margin (ms)
local key = KEYS[1]
local value = redis.call('GET', key)
local kind = value and value:byte(1)
local head = kind == LIVE and 1 or kind == FILL and 17 or nil
if not head or not is_state(value:sub(head + 1)) then
  return 0
end
local state = value:sub(head + 1)
local generation, rotated_at = read(state)
local to, at = tonumber(ARGV[1]), tonumber(ARGV[2])
if to < generation or (to == generation and at <= rotated_at) then
  return 0
end
state = write(state, to, at, tonumber(ARGV[3]))
if kind == LIVE then
  keep(key, state, tonumber(ARGV[4]), tonumber(ARGV[5]))
else
  redis.call('SET', key, value:sub(1, 17) .. state, 'KEEPTTL')
end
return 1
