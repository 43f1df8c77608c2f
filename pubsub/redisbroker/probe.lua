-- Finds out whether events can be stored, without storing one: it writes a key that
-- expires. KEYS[2] is that key. Returns the id of the newest entry. The stream is trimmed,
-- because it may be what fills the memory, or larger than a limit that was lowered.

local reply = redis.pcall('SET', KEYS[2], '', 'PX', 60000)
local _, _, upTo = newest()
pcall(trim, upTo) -- it fails if Redis refuses all writes, which reply says
if reply.err then
  return reply
end
local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
return entry and entry[1] or '0-0'
