package vectors

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"time"

	"hivemend/testdata/gen/encode"
)

var (
	issued  = time.Date(2009, 3, 2, 8, 15, 0, 0, time.UTC)
	judged  = time.Date(2009, 11, 30, 0, 0, 0, 0, time.UTC)
	expired = time.Date(2009, 11, 1, 0, 0, 0, 0, time.UTC)
)

func licenceServer() encode.LicenseServer {
	return encode.NewLicenseServer("LICSRV01", "EXAMPLE", "12345-678-9012345-67890")
}

// serverLeaf returns the certificate of a terminal server, to be changed and
// encoded.
func serverLeaf() encode.Certificate {
	return licenceServer().ServerCertificate("TS2003", 0x0100000017, encode.NewKey("terminal server", 2048), encode.Stream("vector", 20), issued)
}

// An authority stands above the licence server in a chain of three: what a
// clearing house issues.
func authority() encode.Certificate {
	a := encode.NewLicenseServer("Example Licensing Root", "Example", "")
	return a.Certificate()
}

func issuedServer() encode.Certificate {
	root, server := authority(), licenceServer().Certificate()
	server.Issuer, server.Signer = root.Subject, root.Signer
	return server
}

func chains() []Vector {
	l := &list{kind: KindChain, rule: "TS-X509-CORRUPT", asOf: judged}
	root := licenceServer().Certificate().Encode()
	leaf := serverLeaf().Encode()
	good := encode.Chain(false, root, leaf)
	const firstAt = 12
	secondAt := firstAt + len(root) + 4
	// changeLeaf and changeRoot return chains with one certificate changed
	// before it is signed.
	changeLeaf := func(f func(*encode.Certificate)) []byte {
		c := serverLeaf()
		f(&c)
		return encode.Chain(false, root, c.Encode())
	}
	changeRoot := func(f func(*encode.Certificate)) []byte {
		c := licenceServer().Certificate()
		f(&c)
		return encode.Chain(false, c.Encode(), leaf)
	}

	l.sound("sound", "licence server and terminal server, permanent", good)
	l.sound("sound-three", "authority, licence server and terminal server", encode.Chain(false, authority().Encode(), issuedServer().Encode(), leaf))
	l.sound("sound-leaf-512", "the terminal server's key has 512 bits, as servers for Windows XP clients have", changeLeaf(func(c *encode.Certificate) { c.Key = encode.NewKey("terminal server", 512) }))
	l.sound("sound-leaf-rsa", "the terminal server's key is named by the identifier of RSA", changeLeaf(func(c *encode.Certificate) { c.KeyAlg = encode.OIDRSA }))
	l.sound("sound-leaf-md5", "the terminal server's key is named by the OIW's identifier of MD5", changeLeaf(func(c *encode.Certificate) { c.KeyAlg = "1.3.14.3.2.25" }))
	l.sound("negative-serial", "the terminal server's certificate has a negative serial number", negativeSerial(root))
	l.sound("padding-missing", "the padding at the end is missing", good[:len(good)-16])
	l.sound("until-2038", "judged in 2030: the last certificate ends in 2038, the first in 2049", good)
	l.all[len(l.all)-1].AsOf = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

	l.note("TS-X509-TEMPORARY", "", "temporary", "a temporary chain", encode.Chain(true, root, leaf))
	l.note("TS-X509-TEMPORARY", "", "sample-4.1", "the sample of MS-RDPELE 4.1", encode.SampleChain())
	l.note("TS-X509-EXPIRED", "", "expired-leaf", "the last certificate has run out", changeLeaf(func(c *encode.Certificate) { c.NotAfter = expired }))
	l.note("TS-X509-EXPIRED", "", "expired-root", "the licence server's certificate has run out", changeRoot(func(c *encode.Certificate) { c.NotAfter = expired }))
	l.note("TS-X509-NOTE", "future", "future", "the last certificate is not valid yet", changeLeaf(func(c *encode.Certificate) { c.NotBefore = judged.AddDate(0, 1, 0) }))
	l.note("TS-X509-NOTE", "unverifiable", "unknown-algorithm", "the last certificate is signed by an algorithm that nobody knows", changeLeaf(unknownAlgorithm))
	l.note("TS-X509-NOTE", "unverifiable", "root-not-given", "three certificates, the first of which somebody else issued", rootNotGiven())
	l.note("TS-X509-NOTE", "unrecognised", "starts-at-count", "the first field, dwVersion, is not there", good[4:])
	l.note("TS-X509-NOTE", "trailing", "trailing", "64 bytes behind the padding", append(bytes.Clone(good), encode.Stream("trailing", 64)...))

	l.text("text", good)
	l.corrupt("empty", "empty", "no data at all", nil)
	l.corrupt("truncated", "cut-4", "ends behind dwVersion", good[:4])
	l.corrupt("truncated", "cut-10", "ends inside the first length", good[:10])
	l.corrupt("truncated", "cut-first", "ends one byte before the first certificate does", good[:firstAt+len(root)-1])
	l.corrupt("truncated", "cut-second", "ends inside the second certificate", good[:secondAt+200])
	l.corrupt("framing", "length-max", "the first certificate claims 4294967295 bytes", put(good, 8, 0xff, 0xff, 0xff, 0xff))
	l.corrupt("framing", "length-zero", "the first certificate claims no bytes", put(good, 8, 0, 0, 0, 0))
	l.corrupt("version", "version-3", "dwVersion is 3", put(good, 0, 3))
	l.corrupt("count", "count-1", "NumCertBlobs is 1", put(good, 4, 1))
	l.corrupt("count", "count-0", "NumCertBlobs is 0", put(good, 4, 0))
	l.corrupt("count", "count-201", "NumCertBlobs is 201", put(good, 4, 201))
	l.corrupt("der", "der-tag", "the first certificate begins with another tag", flip(good, firstAt, 0x01))
	l.corrupt("der", "der-length", "a length inside the second certificate runs over its end", put(good, secondAt+4+2, 0xff, 0xff))
	l.corrupt("issuer", "issuer", "the last certificate names another issuer", changeLeaf(func(c *encode.Certificate) {
		c.Issuer = encode.NewLicenseServer("OTHER", "EXAMPLE", "").DN()
	}))
	l.corrupt("key", "key-zero", "the last certificate's modulus is zero", changeLeaf(func(c *encode.Certificate) {
		c.Key = encode.Key{N: new(big.Int), E: c.Key.E}
	}))
	l.corrupt("date", "date-order", "the last certificate ends before it begins", changeLeaf(func(c *encode.Certificate) { c.NotAfter = issued.AddDate(-1, 0, 0) }))
	l.corrupt("date", "date-1970", "the last certificate ends on 1970-01-01", changeLeaf(func(c *encode.Certificate) {
		c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(3600, 0)
	}))
	l.corrupt("signature", "signature-leaf", "a byte of the last certificate's signature is changed", flip(good, len(good)-20, 1))
	l.corrupt("signature", "signature-root", "a byte of the first certificate's signature is changed", flip(good, secondAt-5, 1))
	l.corrupt("signature", "root-key", "a byte of the licence server's key is changed", flip(good, bytes.Index(good, []byte{0x02, 0x82, 0x01, 0x01, 0x00})+60, 1))
	l.corrupt("signature", "leaf-key", "a byte of the terminal server's key is changed", flip(good, bytes.LastIndex(good, []byte{0x02, 0x82, 0x01, 0x01, 0x00})+60, 1))
	l.corrupt("signature", "leaf-private", "a byte of a licensing extension of the last certificate is changed",
		flip(good, bytes.LastIndex(good, encode.UTF16("Microsoft Corporation"))+2, 0x20))
	l.corrupt("signature", "other-signer", "the last certificate is signed with another key than its issuer's", changeLeaf(func(c *encode.Certificate) {
		c.Signer = encode.NewKey("vector", 2048)
	}))
	return l.all
}

// unknownAlgorithm gives c a signature that nobody can check.
func unknownAlgorithm(c *encode.Certificate) {
	c.SigAlg, c.Signature = "1.3.6.1.4.1.99999.1", encode.Stream("unknown algorithm", 64)
}

// rootNotGiven is a chain of three whose first certificate was issued by one
// that is not in it.
func rootNotGiven() []byte {
	top := authority()
	top.Issuer = encode.NewLicenseServer("Example Higher Root", "Example", "").DN()
	top.Signer = encode.NewKey("vector", 2048)
	return encode.Chain(false, top.Encode(), issuedServer().Encode(), serverLeaf().Encode())
}

// negativeSerial is a sound chain whose last certificate has the serial number
// -1 in its shortest form.
func negativeSerial(root []byte) []byte {
	c := serverLeaf()
	c.RawSerial = []byte{0xff}
	return encode.Chain(false, root, c.Encode())
}

// frame puts a licence into NEW_LICENSE_INFO with one of its four lengths
// changed. part counts from 0.
func frame(license []byte, part int, length uint32) []byte {
	framed := encode.NewLicenseInfo("microsoft.com", "Microsoft Corporation", "A02", license)
	at := 4
	for range part {
		at += 4 + int(binary.LittleEndian.Uint32(framed[at:]))
	}
	return put(framed, at, binary.LittleEndian.AppendUint32(nil, length)...)
}
