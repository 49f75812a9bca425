package scan

import (
	"custody/index/fingerprint"
)

// inBackground reports whether the symbols [from, to) of the row stand in one
// piece in a text of the background. Below 24 symbols the first twelve, at the
// start of a token, decide: that errs towards common.
func (m *matcher) inBackground(from, to int) bool {
	if len(m.view.Background) == 0 || to-from < fingerprint.MinShort {
		return false
	}
	if to-from >= fingerprint.MinRecord {
		return m.inBackgroundRun(from, to)
	}
	key := m.stream.Key(m.hasher, from, from+fingerprint.MinShort)
	for _, s := range m.view.Background {
		if s.MayHold(key) && s.Anchors.Find(key).Len() > 0 {
			return true
		}
	}
	return false
}

// place is a diagonal of a background text.
type place struct {
	seg      int
	text     uint32
	diagonal int
}

// inBackgroundRun follows the windows of [from, to) through the background: one
// text has the whole run if it has a fingerprint of it near its start, then no
// more than a winnowing window apart, and near its end.
func (m *matcher) inBackgroundRun(from, to int) bool {
	if len(m.view.Background) == 0 {
		return false
	}
	runs := map[place]int{} // last window that agreed
	last := to - fingerprint.K
	for at := from; at <= last; at++ {
		fp := m.stream.FP(m.hasher, at)
		for si, s := range m.view.Background {
			if !s.MayHold(fp) {
				continue
			}
			run := s.Winnow.Find(fp)
			for i := range min(run.Len(), 1024) {
				text, pos, ok := s.TextAt(run.Value(i))
				if !ok {
					continue
				}
				p := place{si, text, at - int(pos)}
				before, going := runs[p]
				switch {
				case going && at-before <= fingerprint.Window, !going && at-from < fingerprint.Window:
					runs[p] = at
					if last-at < fingerprint.Window {
						return true
					}
				}
			}
		}
	}
	return false
}
