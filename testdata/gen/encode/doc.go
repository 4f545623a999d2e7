// Package encode writes the certificates, licences and other values that
// Terminal Services and Remote Desktop keep in the registry. It exists for test
// data alone: it shares no code with the decoders that judge such values, so an
// error in one is not hidden by the same error in the other.
//
// Everything is deterministic. Keys are throw-away keys that come from a
// stream of SHA-256 hashes; none of them protects anything.
//
// Sources: [MS-RDPBCGR] 2.2.1.4.3.1 and 5.3.3.1, [MS-RDPELE] 2.2.2.6.1 and
// 2.2.2.9 with the samples of its section 4, [MS-GPEF] 2.2.1.1.1, [MS-DTYP]
// 2.4.
package encode
