package patch

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// keepMetadata gives a new file the owner and the extended attributes of the
// one that it replaces. On a mounted Windows volume these hold the security
// descriptor and the attributes of the file (ntfs-3g: system.ntfs_acl,
// system.ntfs_attrib; ntfs3: system.ntfs_security), which a hive that is put
// in its place should keep. What the file system does not have, or does not let
// this user set, is left as it is.
func keepMetadata(f *os.File, path string, info fs.FileInfo) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid))
	}
	names := []string{"system.ntfs_acl", "system.ntfs_security", "system.ntfs_attrib"}
	list := make([]byte, 64<<10)
	if n, err := syscall.Listxattr(path, list); err == nil {
		names = append(names, strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })...)
	}
	value := make([]byte, 64<<10)
	for _, name := range names {
		if n, err := syscall.Getxattr(path, name, value); err == nil {
			_ = syscall.Setxattr(f.Name(), name, value[:n], 0)
		}
	}
}
