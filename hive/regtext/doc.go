// Package regtext reads and writes .reg text, the registry's form for people:
// exports and patches, as Registry Editor and reg.exe write and import them.
//
// [Parse] turns text into a [File]: a list of [Op] in the order of the lines,
// each with its place, and a [Diagnostic] for everything that was not read.
// Windows skips bad lines without a word; here each is told, and
// [Options.Strict] refuses the whole. [File.Tree] shows what the ops build in
// an empty registry, [File.Edits] gives them as edits.
//
// [Writer] writes text byte for byte as Registry Editor does: UTF-16LE with
// byte order mark, CRLF, hex data wrapped before column 80. Its default
// dialect, [Lossless], differs in one thing: a REG_SZ that a quoted string
// cannot carry exactly goes out as hex(1), where Registry Editor drops what
// does not fit. What it writes is read back by Parse to the same ops.
//
// # What .reg text cannot carry
//
// Security descriptors, class names, last-write times and flags have no place
// in it. Nor have key names with a backslash, CR, LF or NUL inside, which
// damaged and hostile hives do have: the writer refuses these with an
// [UnrepresentableError].
//
// The text is read as UTF-16 units, so names and strings that are not valid
// Unicode survive.
package regtext
