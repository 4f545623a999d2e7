package hive

// Origin says where bytes physically lie, for a person who wants to see them.
// What is not known is left at its zero value.
type Origin struct {
	// Image is the offset in bytes in the hive as it was judged (after its
	// logs were replayed, if they were), or 0: no value's data lies at 0.
	Image int64
	// Length is how many bytes lie there.
	Length int64
	// File names the file that the bytes came from, where that is not the
	// input itself: a transaction log.
	File string
	// LogSequence is the number of the log entry that brought the bytes.
	LogSequence uint32
	// Offset is the offset in bytes in File (or in the input where File is "").
	Offset int64
	// Line and Column count from 1 and are for .reg text.
	Line, Column int
}
