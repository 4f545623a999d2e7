// Package fleet holds what only shows across machines: clones of one image
// among them, and what has changed since an earlier audit.
//
// Both work on results one at a time and keep a few hundred bytes for each
// machine, so an archive of any size can be audited. They read nothing but the
// results, so the reports of shards can be joined later.
package fleet
