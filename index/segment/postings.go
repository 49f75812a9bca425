package segment

import (
	"encoding/binary"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// key48 is what a posting keeps of a 64-bit key.
func key48(key uint64) uint64 { return key >> 16 }

// collector gathers postings in any order: the high 16 bits of the key apart,
// the next 32 and the value in one word, so that sorting words sorts postings.
type collector struct {
	hi []uint16
	lo []uint64
}

func (c *collector) add(key uint64, value uint32) {
	c.hi = append(c.hi, uint16(key>>48))
	c.lo = append(c.lo, key>>16<<32|uint64(value))
}

func (c *collector) cut(n int) { c.hi, c.lo = c.hi[:n], c.lo[:n] }

// table is postings in order: those whose key has the high bits h are
// v[start[h]:start[h+1]], ascending.
type table struct {
	start []uint32
	v     []uint64
}

func (c *collector) sorted() table {
	t := table{start: make([]uint32, 1<<16+1), v: make([]uint64, len(c.lo))}
	for _, h := range c.hi {
		t.start[int(h)+1]++
	}
	for i := 1; i < len(t.start); i++ {
		t.start[i] += t.start[i-1]
	}
	next := slices.Clone(t.start[:1<<16])
	for i, h := range c.hi {
		t.v[next[h]] = c.lo[i]
		next[h]++
	}
	var wg sync.WaitGroup
	var stripe atomic.Int32
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				s := int(stripe.Add(1)-1) << 10
				if s >= 1<<16 {
					return
				}
				for h := s; h < s+1<<10; h++ {
					slices.Sort(t.v[t.start[h]:t.start[h+1]])
				}
			}
		})
	}
	wg.Wait()
	return t
}

func (t table) bucket(h int) []uint64 { return t.v[t.start[h]:t.start[h+1]] }
func (t table) count() int64          { return int64(len(t.v)) }

// postingSource gives the sorted postings whose keys have the high bits h,
// valid until its next call. The builder's tables and a merge's inputs are two.
type postingSource interface {
	bucket(h int) []uint64
	count() int64 // exact
}

func bucketBits(n int64) uint {
	return uint(min(maxBits, max(minBits, bits.Len64(uint64(n/perBucket)))))
}

// writePostings writes the sections id and, where there are enough postings
// for one, dirID.
func (s *sink) writePostings(id, dirID uint32, src postingSource) {
	n := src.count()
	s.begin(id)
	if n < smallLimit {
		s.writeSmall(src, n)
		return
	}
	b := bucketBits(n)
	dir := make([]uint32, 1<<b+1)
	fine := b - 16 // bits of the rest that choose the bucket too
	var out []byte
	pos := uint32(0)
	for h := range 1 << 16 {
		rest := src.bucket(h)
		for sub := range 1 << fine {
			m := len(rest)
			if fine > 0 {
				limit := uint64(sub+1) << (64 - fine)
				m, _ = slices.BinarySearch(rest, limit)
				if sub == 1<<fine-1 {
					m = len(rest)
				}
			}
			dir[h<<fine|sub] = pos
			pos += uint32(m)
			out = appendColumns(out[:0], rest[:m])
			s.write(out)
			rest = rest[m:]
		}
	}
	dir[1<<b] = pos
	s.begin(dirID)
	for _, v := range dir {
		s.u32(v)
	}
}

func appendColumns(dst []byte, v []uint64) []byte {
	for _, x := range v {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(x>>32))
	}
	for _, x := range v {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(x))
	}
	return dst
}

func (s *sink) writeSmall(src postingSource, n int64) {
	all := make([]uint64, 0, n)
	for h := range 1 << 16 {
		v := src.bucket(h)
		all = append(all, v...)
		for range v {
			s.write([]byte{byte(h), byte(h >> 8)})
		}
	}
	s.pad()
	s.write(appendColumns(nil, all))
}

// writeFilter writes a filter over the keys of all sources.
func (s *sink) writeFilter(id uint32, sources ...postingSource) {
	var n int64
	for _, src := range sources {
		n += src.count()
	}
	s.begin(id)
	shardBits := filterBits(n)
	s.write(appendFilterHeader(nil, shardBits))
	var w filterWriter
	per := 1 << 16 >> shardBits
	for h := range 1 << 16 {
		for _, src := range sources {
			last := ^uint64(0)
			for _, x := range src.bucket(h) {
				if k := uint64(h)<<32 | x>>32; k != last {
					w.keys = append(w.keys, k)
					last = k
				}
			}
		}
		if (h+1)%per == 0 {
			out, err := w.appendShard(nil)
			if err != nil && s.err == nil {
				s.err = err
			}
			s.write(out)
		}
	}
}

// Postings is a sealed family of postings.
type Postings struct {
	n    int
	bits uint // 0: one bucket with a column of high bits
	dir  []byte
	data []byte
	hi   []byte // small only
}

func openPostings(data, dir []byte) (Postings, bool) {
	p := Postings{dir: dir, data: data}
	if len(dir) == 0 {
		// n*2 padded to 8, then n*8
		p.n = len(data) / 10
		for p.n > 0 && (p.n*2+7)&^7+p.n*8 > len(data) {
			p.n--
		}
		pad := (p.n*2 + 7) &^ 7
		if pad+p.n*8 != len(data) {
			return p, false
		}
		p.hi, p.data = data[:p.n*2], data[pad:]
		return p, true
	}
	entries := len(dir)/4 - 1
	p.bits = uint(bits.TrailingZeros(uint(entries)))
	p.n = len(data) / 8
	return p, entries == 1<<p.bits && p.bits >= minBits && p.bits <= maxBits && len(data)%8 == 0 &&
		int(binary.LittleEndian.Uint32(dir[len(dir)-4:])) == p.n
}

// Len is the number of postings.
func (p *Postings) Len() int { return p.n }

// Direct reports whether Find goes to its bucket by a directory: then it costs
// no more than asking the segment's filter first.
func (p *Postings) Direct() bool { return p.bits != 0 }

// Run is the postings of one key, ascending by value.
type Run struct {
	vals []byte
}

// Len is the number of postings in the run.
func (r Run) Len() int { return len(r.vals) / 4 }

// Value is the i-th value.
func (r Run) Value(i int) uint32 { return binary.LittleEndian.Uint32(r.vals[4*i:]) }

// Search is the index of the first value ≥ v.
func (r Run) Search(v uint32) int {
	lo, hi := 0, r.Len()
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if r.Value(m) < v {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// Find is the run of key's top 48 bits. It never fails on a damaged file: what
// a directory says is clamped to the data.
func (p *Postings) Find(key uint64) Run {
	if p.n == 0 {
		return Run{}
	}
	if p.bits == 0 {
		return p.findSmall(uint16(key>>48), uint32(key>>16))
	}
	return p.findIn(p.ends(key), key)
}

// ends is the first posting of the key's bucket, and in the upper half the one
// after its last.
func (p *Postings) ends(key uint64) uint64 {
	return binary.LittleEndian.Uint64(p.dir[4*(key>>(64-p.bits)):])
}

// guess is where a bucket of m postings has the key, if it is evenly filled.
func (p *Postings) guess(m int, key uint64) int {
	low := key >> 16 & (1<<(48-p.bits) - 1)
	return int(uint64(m) * low >> (48 - p.bits))
}

// findIn is Find in a bucket.
func (p *Postings) findIn(ends, key uint64) Run {
	le := binary.LittleEndian
	rest := uint32(key >> 16)
	a, z := int(uint32(ends)), int(ends>>32)
	if a >= z || z > p.n {
		return Run{}
	}
	m := z - a
	rests := p.data[8*a : 8*a+4*m]
	vals := p.data[8*a+4*m : 8*z]
	// Interpolate within the bucket, then walk: rests are spread evenly but for
	// fingerprints that many texts share.
	i := lowerBound(rests, m, p.guess(m, key), rest)
	j := i
	for j < m && le.Uint32(rests[4*j:]) == rest {
		j++
		if j-i == 16 { // long run: find its end by halves
			j = i + upperBound(rests[4*i:], m-i, rest)
			break
		}
	}
	return Run{vals[4*i : 4*j]}
}

// FindAll puts the run of each key into runs, which has room for as many. It
// takes many keys through each step, directory, bucket, run, before the next
// one: a step waits for memory, which answers many at a time.
func (p *Postings) FindAll(keys []uint64, runs []Run) {
	if p.bits == 0 || p.n == 0 {
		for i, k := range keys {
			runs[i] = p.Find(k)
		}
		return
	}
	var ends [64]uint64
	var near [128]uint64
	for len(keys) > 0 {
		n := min(len(keys), len(ends))
		p.fetchEnds(keys[:n], &ends)
		fetch(p.data, near[:p.near(keys[:n], &ends, &near)])
		for i, k := range keys[:n] {
			runs[i] = p.findIn(ends[i], k)
		}
		keys, runs = keys[n:], runs[n:]
	}
}

//go:noinline
func (p *Postings) fetchEnds(keys []uint64, ends *[64]uint64) {
	for i, k := range keys {
		ends[i%len(ends)] = p.ends(k)
	}
}

// near puts into at the bytes of the data a little before and after the place
// where each key should stand in its bucket, and returns how many.
//
//go:noinline
func (p *Postings) near(keys []uint64, ends *[64]uint64, at *[128]uint64) int {
	n := 0
	for i, k := range keys {
		a, z := int(uint32(ends[i%len(ends)])), int(ends[i%len(ends)]>>32)
		if a >= z || z > p.n {
			continue
		}
		guess := 8*a + 4*p.guess(z-a, k)
		at[n%len(at)] = uint64(max(8*a, guess-beside))
		at[(n+1)%len(at)] = uint64(min(guess+beside, 8*z-1))
		n += 2
	}
	return n
}

const beside = 24 // bytes on either side of a guess: some twice its deviation

// fetch reads the bytes of b at the places, so that they are in the cache. It
// does nothing else, for then the processor has the most reads under way at a
// time. Of the sum there is no use.
//
//go:noinline
func fetch(b []byte, at []uint64) (sum byte) {
	for _, i := range at {
		sum += b[i]
	}
	return sum
}

// lowerBound is the first index of the ascending column whose value is ≥ x,
// searched outward from the guess.
func lowerBound(col []byte, n, guess int, x uint32) int {
	le := binary.LittleEndian
	lo, hi, step := guess, guess, 4
	if le.Uint32(col[4*guess:]) >= x {
		for lo > 0 && le.Uint32(col[4*lo:]) >= x {
			hi = lo
			lo = max(0, lo-step)
			step *= 2
		}
		if lo == 0 && le.Uint32(col) >= x {
			return 0
		}
		lo++
	} else {
		lo++
		for hi = lo; hi < n && le.Uint32(col[4*hi:]) < x; step *= 2 {
			lo = hi + 1
			hi = min(n, hi+step)
		}
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if le.Uint32(col[4*m:]) < x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// upperBound is the first index of the ascending column whose value is > x.
func upperBound(col []byte, n int, x uint32) int {
	lo, hi := 0, n
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if binary.LittleEndian.Uint32(col[4*m:]) <= x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

func (p *Postings) findSmall(hi uint16, rest uint32) Run {
	le := binary.LittleEndian
	at := func(i int) uint64 { return uint64(le.Uint16(p.hi[2*i:]))<<32 | uint64(le.Uint32(p.data[4*i:])) }
	want := uint64(hi)<<32 | uint64(rest)
	lo, end := 0, p.n
	for lo < end {
		m := int(uint(lo+end) >> 1)
		if at(m) < want {
			lo = m + 1
		} else {
			end = m
		}
	}
	j := lo
	for j < p.n && at(j) == want {
		j++
	}
	return Run{p.data[4*p.n+4*lo : 4*p.n+4*j]}
}

// appendBucket appends the postings whose keys have the high bits h, as the
// table of a builder has them.
func (p *Postings) appendBucket(h int, dst []uint64) []uint64 {
	le := binary.LittleEndian
	if p.bits == 0 {
		i := p.smallStart(uint32(h))
		for ; i < p.n && int(le.Uint16(p.hi[2*i:])) == h; i++ {
			dst = append(dst, uint64(le.Uint32(p.data[4*i:]))<<32|uint64(le.Uint32(p.data[4*p.n+4*i:])))
		}
		return dst
	}
	fine := p.bits - 16
	for slot := h << fine; slot < (h+1)<<fine; slot++ {
		a, z := int(le.Uint32(p.dir[4*slot:])), int(le.Uint32(p.dir[4*slot+4:]))
		if a >= z || z > p.n {
			continue
		}
		m := z - a
		for i := range m {
			dst = append(dst, uint64(le.Uint32(p.data[8*a+4*i:]))<<32|uint64(le.Uint32(p.data[8*a+4*m+4*i:])))
		}
	}
	return dst
}

func (p *Postings) smallStart(h uint32) int {
	lo, hi := 0, p.n
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if uint32(binary.LittleEndian.Uint16(p.hi[2*m:])) < h {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// EachKey calls yield with each key whose high 16 bits are in [from, to), its
// low 16 bits zero, in order; a key comes as often as it has postings.
func (p *Postings) EachKey(from, to int, yield func(key uint64)) {
	le := binary.LittleEndian
	if p.bits == 0 {
		for i := p.smallStart(uint32(from)); i < p.n && int(le.Uint16(p.hi[2*i:])) < to; i++ {
			yield(uint64(le.Uint16(p.hi[2*i:]))<<48 | uint64(le.Uint32(p.data[4*i:]))<<16)
		}
		return
	}
	fine := p.bits - 16
	for slot := from << fine; slot < to<<fine; slot++ {
		a, z := int(le.Uint32(p.dir[4*slot:])), int(le.Uint32(p.dir[4*slot+4:]))
		if a >= z || z > p.n {
			continue
		}
		high := uint64(slot>>fine) << 48
		for rests := p.data[8*a : 8*a+4*(z-a)]; len(rests) > 0; rests = rests[4:] {
			yield(high | uint64(le.Uint32(rests))<<16)
		}
	}
}
