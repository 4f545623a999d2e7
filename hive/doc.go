// Package hive is the registry as people think of it: trees of keys and
// values, the machines they belong to, the damage met while reading them, and
// the edits that would change them.
//
// A [Tree] looks the same whether it was read from a binary hive (package
// hive/regf) or from .reg text (package hive/regtext); both are a [Store]
// behind the small views [Key] and [Value]. Reading is lazy: looking a path up
// touches only what lies on it.
//
// An [Edit] is data: it says what to change and what it expects to find, and
// it changes nothing by itself. Carrying edits out is the work of package
// patch. Nothing in this package opens a file, knows a file format, or looks
// at the clock.
package hive
