package main

import (
	"syscall"
	"time"
	"unsafe"
)

// threadTime is the CPU time of the calling thread, to which its goroutine must be locked: what a
// step takes, whoever else uses the machine.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID; resource usage is only counted by ticks
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock,
		uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}
