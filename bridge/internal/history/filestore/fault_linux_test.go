package filestore

import "syscall"

// withoutRoot takes the rights of root over files from the calling thread.
func withoutRoot() { syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0) }
