// Package vectors makes single registry values with exactly one deviation each,
// and says what a judge must make of every one: what testdata/vectors holds.
//
// Where a certificate is signed, the signature is made after the change unless
// the damage itself is the point, so that nothing but the deviation is wrong.
package vectors
