// Package patch carries edits out: it plans them, shows them as a diff,
// applies them to copies of hives, proves the result, and knows the way back.
//
// Edits come in as data ([hive.Edit]), from a rule or from a hand-written .reg
// file; this package neither knows nor asks what a certificate is.
//
// The way of a change is always the same. [NewPlan] orders the edits, merges
// what says the same, refuses what contradicts, and notes for each what it
// expects to find and how to take it back. [Precheck] compares a plan with the
// hives it meets. [Apply] edits private copies and releases them only when two
// independent readers see exactly the planned tree in them. [Package] writes
// everything a person needs into one folder, [Verify] and [Undo] read it again.
package patch
