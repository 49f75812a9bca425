package clean

import "encoding/binary"

// rowSet is a set of rows, which are added in order. It takes about a byte a row
// where they lie near one another.
type rowSet struct {
	deltas []byte
	last   int64
	n      int64
}

// add adds a row that is not below the last; the last again is nothing new.
func (s *rowSet) add(row int64) {
	if s.n > 0 && row == s.last {
		return
	}
	s.deltas = binary.AppendUvarint(s.deltas, uint64(row-s.last))
	s.last = row
	s.n++
}

// cursor goes through the set in order. Rows are asked for in order too.
func (s *rowSet) cursor() *rowCursor {
	c := &rowCursor{rest: s.deltas}
	c.step()
	return c
}

type rowCursor struct {
	rest []byte
	at   int64 // 0: the end
}

func (c *rowCursor) step() {
	d, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.at = 0
		return
	}
	c.at += int64(d)
	c.rest = c.rest[n:]
}

// has reports whether the row is in the set. It may not be asked for one below
// a row that it was asked for before.
func (c *rowCursor) has(row int64) bool {
	for c.at != 0 && c.at < row {
		c.step()
	}
	return c.at == row && row != 0
}

// all yields the rows in order.
func (s *rowSet) all(yield func(int64) bool) {
	for c := s.cursor(); c.at != 0; c.step() {
		if !yield(c.at) {
			return
		}
	}
}
