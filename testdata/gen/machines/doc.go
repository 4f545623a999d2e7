// Package machines makes small registries of whole machines, broken and
// healthy ones: what testdata/machines holds. Names, keys, certificates and
// licences in them are invented; no byte comes from a real machine.
//
// A hive here holds what tells one Windows from another and what Remote Desktop
// and its licensing read, with enough around it to look like a registry. The
// real ones hold a thousand times more.
package machines
