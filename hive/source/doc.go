// Package source finds out what a path holds and gives it out as machines:
// hives, .reg text, folders in the layouts that collectors leave behind,
// archives and disk images.
//
// What a file is, is told by its content, never by its name. Names and folders
// decide only what belongs together: the hives of one folder are one machine
// in one generation (live, RegBack, Windows.old, ...), their transaction logs
// lie beside them, and nothing is ever paired across folders. Where that
// leaves a doubt, the hives stay apart and a note says why.
//
// A search goes in two steps, so that very many machines can be judged one
// after the other or side by side: [Find] looks at names and first bytes and
// gives out a [Group] for each machine, and [Group.Load] reads it. [Open] does
// both.
//
// Inputs are opened for reading only, and a file's bytes are read into memory
// once: what was hashed is what is judged. One input that cannot be read never
// stops the others; it becomes a [Failure].
package source
