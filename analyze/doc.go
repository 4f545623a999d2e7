// Package analyze is the frame in which rules judge a machine: what a rule, a
// finding and its evidence are, what a rule may ask of a machine, and the
// runner that keeps one rule's failure away from the others.
//
// Judging is pure: [Run] reads trees, looks at no clock and no file, prints
// nothing, and gives the same result for the same machine and [Options]. A
// finding may propose edits; carrying them out is the work of package patch.
//
// What a rule could not look at is kept as [NotChecked]: "did not look" is
// never reported as "fine".
package analyze
