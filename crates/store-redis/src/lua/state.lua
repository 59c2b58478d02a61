-- What every script about a session knows of its key.
--   L state          live: may be refreshed
--   F token state?   to be filled: whoever read the database after it had put this token there may do so, as long as
--                    the token is still there. Kept state is newer than the database's or as new
--   T                the session has ended; the database knows why
-- state = generation u32, rotated_at, idle_expires_at, expires_at i64 (microseconds), then facts that no script reads.
local LIVE, FILL, ENDED = 76, 70, 84
local NONE = string.rep('\0', 16)

-- Whether it is one. What somebody else put there is as good as nothing.
local function is_state(text)
  return #text >= 28
end

local function read(state)
  return struct.unpack('>I4i8i8i8', state)
end

local function write(state, generation, rotated_at, idle_expires_at)
  local _, _, _, expires_at = read(state)
  return struct.pack('>I4i8i8i8', generation, rotated_at, idle_expires_at, expires_at) .. state:sub(29)
end

-- The key lives longer than the session by `margin` ms, for clocks that differ.
local function keep(key, state, now, margin)
  local _, _, idle_expires_at, expires_at = read(state)
  local ms = math.ceil((math.min(idle_expires_at, expires_at) - now) / 1000)
  redis.call('SET', key, 'L' .. state, 'PX', math.max(ms, 0) + margin)
end
