-- Finds out whether an event could be stored, without storing one: Redis checks rights,
-- memory, disk and replicas before it refuses the id. Returns the id of the newest entry.
-- The stream is trimmed, because it may be what fills the memory, or larger than a limit
-- that was lowered.
--
-- ARGV[5] is the id of an entry that was read, and that Redis may have lost since, or ''.
-- If Redis has older entries, but not this one, an anchor records the loss. If Redis has
-- no older entries either, it may give out lower ids from now on, which nobody would read,
-- so an anchor with a higher id is appended.

local suspect, lost = ARGV[5], nil
if suspect ~= '' then
  local upTo = redis.call('XREVRANGE', key, suspect, '-', 'COUNT', 1)[1]
  if not upTo then
    lost = ''
  elseif upTo[1] ~= suspect then
    lost = suspect
  end
end

local total, others = measureAll()
pcall(trim, total) -- it fails if Redis refuses all writes, which the reply says
if ms >= 2 ^ 64 then
  return tooHigh
end
local reply = redis.pcall('XADD', key, '0-0', 'c', '')
if not string.find(reply.err, 'greater than 0%-0') then
  return reply
end
if lost or others > 0 then -- with others, so that they need not be looked at again
  lost = lost or ''
  return add(total + size(#'_anchor' + #lost), '_anchor', '', lost)
end
local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
return entry and entry[1] or '0-0'
