package vectors

import (
	"bytes"
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// licence returns the certificate of a licence for Windows 2003, valid for 71
// days from 2009-10-26, to be changed and encoded.
func licence(temporary bool) encode.Certificate {
	from := time.Date(2009, 10, 26, 8, 2, 0, 0, time.UTC)
	return licenceServer().LicenceCertificate(encode.Licence{
		Computer: "XPCLIENT", User: "clerk", Serial: 0x0300000041, ID: encode.Stream("vector licence", 20),
		NotBefore: from, NotAfter: from.AddDate(0, 0, 71), Requested: "A02", Adjusted: "A02-5.02-S", Major: 5, Minor: 2, Temporary: temporary,
	})
}

func licences() []Vector {
	l := &list{kind: KindLicence, rule: "LIC-CAL-CORRUPT", asOf: judged}
	root := licenceServer().Certificate().Encode()
	good := encode.ClientLicense(root, licence(false).Encode())
	temporary := encode.ClientLicense(root, licence(true).Encode())
	change := func(f func(*encode.Certificate)) []byte {
		c := licence(false)
		f(&c)
		return encode.ClientLicense(root, c.Encode())
	}
	later := time.Date(2010, 6, 1, 0, 0, 0, 0, time.UTC)
	at := func(when time.Time) { l.all[len(l.all)-1].AsOf = when }

	l.sound("sound", "a permanent licence", good)
	l.sound("sound-temporary", "a temporary licence that holds", temporary)
	l.sound("sound-leaf-first", "the licence stands before the licence server's certificate", encode.ClientLicense(licence(false).Encode(), root))
	l.sound("sound-two", "two licences of one server", encode.ClientLicense(root, licence(false).Encode(), licence(true).Encode()))
	l.sound("sound-three", "authority, licence server and licence", encode.ClientLicense(authority().Encode(), issuedServer().Encode(), licence(false).Encode()))
	l.sound("framed", "the licence inside NEW_LICENSE_INFO", encode.NewLicenseInfo("microsoft.com", "Microsoft Corporation", "A02", good))
	l.sound("sample-4.3", "the sample of MS-RDPELE 4.3, judged while it held", encode.SampleLicence())
	at(time.Date(2007, 8, 1, 0, 0, 0, 0, time.UTC))
	l.sound("until-2049", "the licence ends in 2049", change(func(c *encode.Certificate) { c.NotAfter = time.Date(2049, 5, 27, 1, 11, 3, 0, time.UTC) }))

	l.note("LIC-CAL-EXPIRED", "", "expired-temporary", "a temporary licence that has run out", temporary)
	at(later)
	l.note("LIC-CAL-EXPIRED", "", "expired-permanent", "a permanent licence that has run out", good)
	at(later)
	l.note("LIC-CAL-EXPIRED", "", "sample-4.3-expired", "the sample of MS-RDPELE 4.3, judged the day after it ran out", encode.SampleLicence())
	at(time.Date(2007, 9, 19, 0, 0, 0, 0, time.UTC))
	l.note("LIC-CAL-NOTE", "future", "future", "a licence that does not hold yet", change(func(c *encode.Certificate) {
		c.NotBefore, c.NotAfter = judged.AddDate(0, 1, 0), judged.AddDate(0, 2, 0)
	}))
	l.note("LIC-CAL-NOTE", "unverifiable", "unknown-algorithm", "a licence signed by an algorithm that nobody knows", change(unknownAlgorithm))
	l.note("LIC-CAL-NOTE", "trailing", "trailing", "8 zero bytes behind the end", append(bytes.Clone(good), make([]byte, 8)...))

	l.text("text", good)
	l.corrupt("empty", "empty", "no data at all", nil)
	l.corrupt("truncated", "cut-1", "the last byte is missing", good[:len(good)-1])
	l.corrupt("truncated", "cut-1000", "ends after 1000 bytes", good[:1000])
	l.corrupt("der", "noise", "200 bytes of noise", put(encode.Stream("noise", 200), 0, 0x6e))
	l.corrupt("der", "outer-oid", "the content type is not that of signed data", flip(good, bytes.Index(good, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02})+8, 1))
	l.corrupt("issuer", "issuer", "the licence names another issuer", change(func(c *encode.Certificate) {
		c.Issuer = encode.NewLicenseServer("OTHER", "EXAMPLE", "").DN()
	}))
	l.corrupt("date", "date-order", "the licence ends before it begins", change(func(c *encode.Certificate) { c.NotAfter = c.NotBefore.AddDate(0, 0, -1) }))
	l.corrupt("signature", "signature-leaf", "a byte of the licence's signature is changed", flip(good, len(good)-100, 0x40))
	l.corrupt("signature", "signature-root", "a byte of the licence server's signature is changed", flip(good, bytes.Index(good, root)+len(root)-1, 1))
	l.corrupt("signature", "name", "a letter of the computer's name is changed", flip(good, bytes.Index(good, []byte("X\x00P\x00C\x00L"))+2, 0x01))
	l.corrupt("framing", "framed-length", "NEW_LICENSE_INFO claims a licence of 4294967295 bytes", frame(good, 3, 0xffffffff))
	l.corrupt("framing", "framed-scope", "NEW_LICENSE_INFO claims a scope of 4294967295 bytes", frame(good, 0, 0xffffffff))
	return l.all
}

func hardwareIDs() []Vector {
	l := &list{kind: KindHardwareID, rule: "LIC-HWID-CORRUPT", asOf: judged}
	good := encode.HardwareID(0x05010001, "vector")
	l.sound("sound", "20 bytes", good)
	l.sound("sample-4.5", "the sample of MS-RDPELE 4.5: the platform is 2", []byte{
		0x02, 0, 0, 0, 0xf1, 0x59, 0x87, 0x3e, 0xc9, 0xd8, 0x98, 0xaf, 0x24, 0x02, 0xf8, 0xf3, 0x29, 0x3a, 0xf0, 0x26,
	})
	l.sound("platform-zero", "the platform is 0", put(good, 0, 0, 0, 0, 0))
	l.corrupt("size", "empty", "no data at all", nil)
	l.corrupt("size", "short", "16 bytes", good[:16])
	l.corrupt("size", "long", "24 bytes", append(bytes.Clone(good), 0, 0, 0, 0))
	l.corrupt("blank", "zeros", "20 zero bytes", make([]byte, 20))
	l.corrupt("blank", "blank", "16 zero bytes behind the platform", put(good, 4, make([]byte, 16)...))
	l.corrupt("blank", "ones", "16 bytes FF behind the platform", put(good, 4, bytes.Repeat([]byte{0xff}, 16)...))
	l.add(Vector{Name: "type", About: "20 bytes stored with the type REG_SZ", Type: hive.RegSZ, Data: good, Rule: l.rule, Cause: "type", FailingByte: -1})
	return l.all
}
