-- Decides about a refresh token as `countersign_domain::rotation::decide` does.
-- ARGV: a token that no lease ever had, presented, now, grace, idle, margin (ms), lease (ms), and where the database
-- was read: the token under which it was, and the state
-- Answers a letter and what belongs to it:
--   R A  rotated; A: the token was ahead. Then the state      P  the same successor again. Then the state
--   U    looks used before. Then the state                    E  expired. Then the state
--   T    ended
--   M    nothing is known; K: only what state is kept. Then the token under which the database may be read
local key, token, leased, filling = KEYS[1], ARGV[1], ARGV[8], ARGV[9]
local presented, now = tonumber(ARGV[2]), tonumber(ARGV[3])
local grace, idle, margin = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local value = redis.call('GET', key)
local kind = value and value:byte(1)
if kind == ENDED then
  return value
end

local state, changed
local kept = kind == FILL and is_state(value:sub(18)) and value:sub(18) or ''
if kind == LIVE and is_state(value:sub(2)) then
  state = value:sub(2)
elseif kind == FILL and filling ~= '' and value:sub(2, 17) == leased then
  state, changed = filling, true
  if kept ~= '' and read(kept) >= read(filling) then
    state = kept:sub(1, 28) .. filling:sub(29)
  end
elseif kind == FILL and #value >= 17 then
  local lease = value:sub(2, 17)
  if lease == NONE then
    lease = token
    redis.call('SET', key, 'F' .. lease .. kept, 'KEEPTTL')
  end
  return (kept == '' and 'M' or 'K') .. lease
else
  redis.call('SET', key, 'F' .. token, 'PX', ARGV[7])
  return 'M' .. token
end

local generation, rotated_at, idle_expires_at, expires_at = read(state)
local answer
if now >= idle_expires_at or now >= expires_at then
  answer = 'E'
elseif presented >= generation then
  if presented == 4294967295 then
    answer = 'E'
  else
    answer = presented > generation and 'A' or 'R'
    state = write(state, presented + 1, now, math.min(now + idle, expires_at))
    changed = true
  end
elseif generation - presented == 1 and grace > 0 and now - rotated_at <= grace then
  answer = 'P'
else
  answer = 'U'
end
if changed then
  keep(key, state, now, margin)
end
return answer .. state
