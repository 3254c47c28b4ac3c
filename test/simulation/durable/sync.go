// Package durable is package sync with locks that a bubble of testing/synctest can see through. The clock of a bubble moves when all its goroutines wait for
// each other; one that waits for a mutex does not count as waiting, so a client that holds one while a request is under way would stop the clock for good.
// A goroutine that waits for a sync.Cond counts.
package durable

import "sync"

// Types of package sync as they are.
type (
	Cond      = sync.Cond
	Locker    = sync.Locker
	Map       = sync.Map
	Once      = sync.Once
	Pool      = sync.Pool
	WaitGroup = sync.WaitGroup
)

// Functions of package sync as they are.
var (
	NewCond  = sync.NewCond
	OnceFunc = sync.OnceFunc
)

// Mutex is sync.Mutex.
type Mutex struct{ rw RWMutex }

// Lock locks.
func (m *Mutex) Lock() { m.rw.Lock() }

// TryLock locks if that needs no waiting.
func (m *Mutex) TryLock() bool { return m.rw.TryLock() }

// Unlock unlocks.
func (m *Mutex) Unlock() { m.rw.Unlock() }

// RWMutex is sync.RWMutex.
type RWMutex struct {
	mu      sync.Mutex // held for moments only, never while waiting
	free    *sync.Cond
	readers int
	writer  bool
	wanted  int // writers that wait: readers that come later wait for them
}

// enter locks the state.
func (m *RWMutex) enter() {
	m.mu.Lock()
	if m.free == nil {
		m.free = sync.NewCond(&m.mu)
	}
}

// Lock locks for writing.
func (m *RWMutex) Lock() {
	m.enter()
	defer m.mu.Unlock()
	m.wanted++
	for m.writer || m.readers > 0 {
		m.free.Wait()
	}
	m.wanted--
	m.writer = true
}

// TryLock locks for writing if that needs no waiting.
func (m *RWMutex) TryLock() bool {
	m.enter()
	defer m.mu.Unlock()
	if m.writer || m.readers > 0 {
		return false
	}
	m.writer = true
	return true
}

// Unlock unlocks for writing.
func (m *RWMutex) Unlock() {
	m.enter()
	defer m.mu.Unlock()
	if !m.writer {
		panic("unlock of an unlocked mutex")
	}
	m.writer = false
	m.free.Broadcast()
}

// RLock locks for reading.
func (m *RWMutex) RLock() {
	m.enter()
	defer m.mu.Unlock()
	for m.writer || m.wanted > 0 {
		m.free.Wait()
	}
	m.readers++
}

// TryRLock locks for reading if that needs no waiting.
func (m *RWMutex) TryRLock() bool {
	m.enter()
	defer m.mu.Unlock()
	if m.writer || m.wanted > 0 {
		return false
	}
	m.readers++
	return true
}

// RUnlock unlocks for reading.
func (m *RWMutex) RUnlock() {
	m.enter()
	defer m.mu.Unlock()
	if m.readers--; m.readers < 0 {
		panic("unlock of an unlocked mutex")
	}
	m.free.Broadcast()
}

// RLocker is a Locker of the reading side.
func (m *RWMutex) RLocker() Locker { return (*reader)(m) }

type reader RWMutex

func (r *reader) Lock()   { (*RWMutex)(r).RLock() }
func (r *reader) Unlock() { (*RWMutex)(r).RUnlock() }

// OnceValue is sync.OnceValue.
func OnceValue[T any](f func() T) func() T { return sync.OnceValue(f) }
