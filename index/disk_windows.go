package index

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// freeBytes is what the user may still write on the disk of dir.
func freeBytes(dir string) (int64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(p, &free, nil, nil)
	return int64(free), err
}

// diskBytes is the size of the file.
func diskBytes(info fs.FileInfo) int64 { return info.Size() }
