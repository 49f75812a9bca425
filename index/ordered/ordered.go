// Package ordered maps a sequence over several goroutines and gives the results
// in the order of the sequence: output does not depend on the number of workers.
package ordered

import (
	"context"
	"iter"
	"sync"
)

// Map calls a worker's function with each item and yield, in this goroutine,
// with the results in the order of the items. newWorker is called once a
// goroutine. At most 2 × workers items are under way. The first error of the
// sequence, a worker, yield or the context ends it and is returned; Map returns
// only when all goroutines have ended.
func Map[T, R any](ctx context.Context, workers int, items iter.Seq2[T, error], newWorker func() func(context.Context, T) (R, error), yield func(R) error) error {
	type result struct {
		value R
		err   error
	}
	type job struct {
		item T
		done chan result
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan job)
	pending := make(chan chan result, 2*workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			work := newWorker()
			for j := range jobs {
				v, err := work(inner, j.item)
				j.done <- result{v, err}
			}
		})
	}
	wg.Go(func() {
		defer close(pending)
		defer close(jobs)
		for item, err := range items {
			done := make(chan result, 1)
			select {
			case pending <- done:
			case <-inner.Done():
				return
			}
			if err != nil {
				done <- result{err: err}
				return
			}
			select {
			case jobs <- job{item, done}:
			case <-inner.Done():
				done <- result{err: inner.Err()}
				return
			}
		}
	})
	var first error
	for done := range pending {
		r := <-done
		if first != nil {
			continue
		}
		if r.err == nil {
			r.err = yield(r.value)
		}
		if r.err != nil {
			first = r.err
			cancel()
		}
	}
	wg.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}
