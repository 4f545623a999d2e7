// Package witness reads a hive a second time, with a parser that nobody here
// wrote: regparser, behind an adapter.
//
// Its one use is to contradict. What package hive/regf reads, and every hive
// that package patch is about to release, must look the same through regparser
// in every key name, value name, type and byte of data; [Compare] lists what
// does not, and a single difference is a veto.
//
// regparser is not on the main path, for reasons that were measured. Without
// an adapter it returns 4.8 % of the values of real hives wrongly (names in
// UTF-16 or Latin-1, data of less than four bytes padded with its neighbours),
// it panics on truncated hives (72 of 195 cuts), a list of subkeys that points
// at itself ends the process in a way that nothing can recover from, and its
// log recovery applied nothing in 24 of 24 cases. So it must only be given
// bytes that hive/regf's Check has found Bounded; this package guards itself
// on top of that, by looking at each list before regparser follows it, by a
// bound on the work done, and by turning a panic into an error.
//
// It is also lenient: it does not notice freed cells that are still linked,
// reference counts, or checksums. Its consent is necessary, never sufficient.
package witness
