package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
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
	free, err := room(dir)
	if err != nil {
		return err
	}
	if free < least {
		return fmt.Errorf("%w: %s has %d MiB free, %d are needed: make room, or name another --dir; nothing is lost", errDiskFull, dir, free>>20, least>>20)
	}
	return nil
}

// room is how many bytes the disk that dir is on has free.
func room(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

// roomToBeWell is what a disk should have: bundles may be hundreds of MiB, and several are kept.
const roomToBeWell = 1 << 30

// examineRoom looks at a directory that is written to, or, before it is made, at the one above it.
func examineRoom(check, dir string) kafka.Finding {
	at := dir
	for _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at); _, err = os.Stat(at) {
		at = filepath.Dir(at)
	}
	const writable = 2 // W_OK of access(2)
	if err := syscall.Access(at, writable); err != nil {
		return kafka.Failed(check, fmt.Sprintf("%s cannot be written: %v", at, err), "let this user write it, or name another directory")
	}
	free, err := room(at)
	if err != nil {
		return kafka.Failed(check, err.Error(), "mend the disk")
	}
	return judgeRoom(check, dir, free)
}

func judgeRoom(check, dir string, free uint64) kafka.Finding {
	found := fmt.Sprintf("%s has %d MiB free", dir, free>>20)
	switch {
	case free < roomToStart:
		return kafka.Failed(check, found, fmt.Sprintf("make room: %d MiB are needed", roomToStart>>20))
	case free < roomToBeWell:
		return kafka.Warned(check, found, "make room before it is full")
	}
	return kafka.Good(check, found)
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
