-- Finds out whether an event could be stored, without storing one: Redis checks rights,
-- memory, disk and replicas before it refuses the id. Returns the id of the newest entry.
-- The stream is trimmed, because it may be what fills the memory, or larger than a limit
-- that was lowered.

local ms, sequence, upTo, others = newest()
pcall(trim, upTo) -- it fails if Redis refuses all writes, which the reply says
local reply = redis.pcall('XADD', key, '0-0', 'c', '')
if not string.find(reply.err, 'greater than 0%-0') then
  return reply
end
if others > 0 then -- an anchor has their total, so that they need not be looked at again
  add(ms, sequence, upTo + size(#'_anchor'), '_anchor', '', '')
end
local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
return entry and entry[1] or '0-0'
