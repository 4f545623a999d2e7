// Package regf reads, checks, edits and builds registry hives: the binary
// files behind the registry, versions 1.2 to 1.6.
//
// Everything works on one slice of bytes that holds the whole file. Reading is
// lazy and copies nothing; every reference is checked against the cell that it
// leads into. Hives come from broken machines, so nothing in a file is
// believed: no offset, length or count leads outside the bytes that are there,
// and none sizes an allocation.
//
// Offsets in exported results count from the start of the file.
package regf
