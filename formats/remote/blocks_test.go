package remote_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/formats/remote"
	"custody/formats/remote/remotetest"
)

// TestReaderAtIsTheFile reads at any places, some at a time, from a server that
// fails now and then.
func TestReaderAtIsTheFile(t *testing.T) {
	data := noise(5<<20 + 4321)
	s, prefix, query := serve(t, remotetest.S3, map[string][]byte{"data/big.bin": data})
	o := find(t, prefix+"data/big.bin"+query)[0]
	s.Fault = func(n int64, _ *http.Request) remotetest.Fault {
		switch n % 11 {
		case 4:
			return remotetest.Fault{Status: 503}
		case 6:
			return remotetest.Fault{Cut: 70_001}
		}
		return remotetest.Fault{}
	}
	rapid.Check(t, func(t *rapid.T) {
		at, err := o.ReaderAt()
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range rapid.IntRange(1, 4).Draw(t, "readers") {
			from := rapid.Int64Range(0, int64(len(data))+10).Draw(t, "from")
			sizes := rapid.SliceOfN(rapid.IntRange(0, 300_000), 1, 6).Draw(t, "sizes")
			all.Go(func() {
				for _, n := range sizes {
					p := make([]byte, n)
					got, err := at.ReadAt(p, from)
					want := data[min(from, int64(len(data))):min(from+int64(n), int64(len(data)))]
					if !bytes.Equal(p[:got], want) || got < n && err != io.EOF || got == n && err != nil {
						t.Errorf("%d bytes at %d: got %d, %v", n, from, got, err)
					}
					from += int64(n)
				}
			})
		}
		all.Wait()
	})
}

// TestStreamIsTheFile: wherever answers break off, the stream is the file.
func TestStreamIsTheFile(t *testing.T) {
	data := noise(1<<20 + 77)
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": data})
		o := find(t, prefix+"data/big.bin"+query)[0]
		var mu sync.Mutex
		var faults []remotetest.Fault
		s.Fault = func(int64, *http.Request) (f remotetest.Fault) {
			mu.Lock()
			defer mu.Unlock()
			if len(faults) > 0 {
				f, faults = faults[0], faults[1:]
			}
			return f
		}
		rapid.Check(t, func(t *rapid.T) {
			var drawn []remotetest.Fault
			for range rapid.IntRange(0, 6).Draw(t, "faults") {
				f := remotetest.Fault{Cut: rapid.IntRange(1, 400_000).Draw(t, "cut")}
				if rapid.IntRange(0, 5).Draw(t, "refused") == 0 {
					f = remotetest.Fault{Status: rapid.SampledFrom([]int{408, 429, 500, 502, 503, 504}).Draw(t, "status")}
				}
				drawn = append(drawn, f)
			}
			mu.Lock()
			faults = drawn
			mu.Unlock()
			s.Requests.Store(0)
			b, err := read(o)
			if err == nil && !bytes.Equal(b, data) || !bytes.HasPrefix(data, b) {
				t.Fatalf("%d bytes that are not of the file, then %v", len(b), err)
			}
			if err != nil && len(drawn) < 4 { // what is cut short may be lost to the last byte
				t.Fatalf("%v, after %d faults", err, len(drawn))
			}
		})
	}
}

// TestEnds: when the context ends, reads end with it, and nothing is tried again.
func TestEnds(t *testing.T) {
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": noise(1 << 20)})
		ctx, cancel := context.WithCancel(context.Background())
		store := remote.New(ctx, remote.Options{Pause: time.Hour, Stall: time.Hour})
		found, err := store.Find(prefix + "data/big.bin" + query)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{}, 10)
		s.Fault = func(int64, *http.Request) remotetest.Fault {
			asked <- struct{}{}
			return remotetest.Fault{Cut: 1000, Silence: true}
		}
		go func() {
			<-asked
			cancel()
		}()
		if _, err := read(found[0]); err != context.Canceled {
			t.Errorf("%s: got %v", kind, err)
		}
		if len(asked) > 0 {
			t.Errorf("%s: it was tried again", kind)
		}
	}
}
