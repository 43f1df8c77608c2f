package tail

// Position is the id after which the cursor begins.
func (c *Cursor) Position() string {
	switch {
	case c.live != nil:
		return c.live.Last().String()
	case c.reader != nil:
		return c.reader.pos().String()
	}
	return c.after
}
