package ledger

import (
	"bytes"
	"sync"
)

// Memory is a Store that lives as long as the process: for tests, and to look
// at a log that was read from elsewhere. Its zero value is empty.
type Memory struct {
	mu   sync.RWMutex
	rows map[string][]byte
}

// Get implements Store.
func (m *Memory) Get(key []byte) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.rows[string(key)], nil
}

// Put implements Store.
func (m *Memory) Put(puts []Put) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[string][]byte{}
	}
	for _, p := range puts {
		m.rows[string(p.Key)] = bytes.Clone(p.Value)
	}
	return nil
}
