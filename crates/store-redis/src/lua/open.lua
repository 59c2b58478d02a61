-- Makes a new session live, unless something happened to it since its key was leased under the token.
-- ARGV: token, state, now, margin (ms)
if redis.call('GET', KEYS[1]) == 'F' .. ARGV[1] then
  keep(KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
  return 1
end
return 0
