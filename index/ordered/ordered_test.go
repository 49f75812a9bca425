package ordered

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func count(n int) func(func(int, error) bool) {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func square() func(context.Context, int) (int, error) {
	return func(_ context.Context, i int) (int, error) { return i * i, nil }
}

func TestMapKeepsOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		var got, want []int
		if err := Map(t.Context(), workers, count(500), square, func(v int) error { got = append(got, v); return nil }); err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			want = append(want, i*i)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d workers: got %v", workers, got)
		}
	}
}

func TestMapEndsOnError(t *testing.T) {
	boom := errors.New("boom")
	worker := func() func(context.Context, int) (int, error) {
		return func(_ context.Context, i int) (int, error) {
			if i == 30 {
				return 0, boom
			}
			return i, nil
		}
	}
	n := 0
	err := Map(t.Context(), 3, count(1000), worker, func(int) error { n++; return nil })
	if !errors.Is(err, boom) || n != 30 {
		t.Errorf("got %v after %d results, want %v after 30", err, n, boom)
	}
	err = Map(t.Context(), 3, count(1000), square, func(v int) error { return boom })
	if !errors.Is(err, boom) {
		t.Errorf("yield: got %v, want %v", err, boom)
	}
	failing := func(yield func(int, error) bool) { _ = yield(1, nil) && yield(0, boom) }
	if err := Map(t.Context(), 3, failing, square, func(int) error { return nil }); !errors.Is(err, boom) {
		t.Errorf("sequence: got %v, want %v", err, boom)
	}
}

func TestMapCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Map(ctx, 2, count(1<<30), square, func(v int) error {
		if v > 100 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
