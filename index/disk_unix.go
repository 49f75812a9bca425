//go:build unix

package index

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBytes is what an ordinary user may still write on the disk of dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// diskBytes is what the file takes on disk, without holes.
func diskBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), int64(st.Blocks)*512)
	}
	return info.Size()
}
