package app

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// errDiskFull ends the demo while its disk still has room for what is under way: an embedded broker that cannot write loses what it has acknowledged.
var errDiskFull = errors.New("the disk is nearly full")

// Room that the disk of the demo must have: below the first it does not start, below the second it stops in good order.
const (
	roomToStart = 48 << 20
	roomToGoOn  = 32 << 20
)

// checkRoom is an error when the disk that dir is on has less than least bytes free.
func checkRoom(dir string, least uint64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	if free := uint64(s.Bavail) * uint64(s.Bsize); free < least {
		return fmt.Errorf("%w: %s has %d MiB free, %d are needed: make room, or name another --dir; nothing is lost", errDiskFull, dir, free>>20, least>>20)
	}
	return nil
}

// watchRoom calls full, once, when the disk that dir is on runs full.
func watchRoom(ctx context.Context, dir string, full func(error)) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := checkRoom(dir, roomToGoOn); err != nil {
			full(err)
			return
		}
	}
}
