package backend

import "unsafe"

// Address returns the fixed part of a row of a table that is [Direct].
func Address(row Row) unsafe.Pointer {
	// Through memory, so that the conversion is not mistaken for pointer arithmetic: the table
	// holds the row's memory alive, and Go's collector does not move it.
	return *(*unsafe.Pointer)(unsafe.Pointer(&row))
}
