package vectors

import (
	"time"

	"hivemend/testdata/gen/encode"
)

// storeBlobs are judged as the certificate of a listener that a person chose
// (SSLCertificateSHA1Hash); for a self-signed one RDP-LISTENER-CERT is milder.
func storeBlobs() []Vector {
	l := &list{kind: KindStoreBlob, rule: "RDP-LISTENER-CERT", asOf: time.Date(2025, 6, 4, 0, 0, 0, 0, time.UTC)}
	key := encode.NewKey("vector", 2048)
	from := time.Date(2025, 2, 11, 7, 30, 0, 0, time.UTC)
	certificate := func(to time.Time) []byte { return encode.ListenerCertificate("W11-PC", key, from, to).Encode() }
	der := certificate(from.AddDate(0, 6, 0))
	// properties returns those of the sound certificate, with one altered or,
	// where alter returns nil, left out.
	properties := func(id uint32, alter func([]byte) []byte) []byte {
		var out []encode.Property
		for _, p := range encode.StoreProperties(der, key, "TSSecKeySet1") {
			if p.ID == id {
				if p.Value = alter(p.Value); p.Value == nil {
					continue
				}
			}
			out = append(out, p)
		}
		return encode.StoreBlob(out...)
	}
	good := properties(0, nil)
	certificateAt := len(good) - len(der)

	l.sound("sound", "a certificate that Windows made for itself", good)
	l.sound("unknown-property", "a property that no page names stands first",
		append(encode.StoreBlob(encode.Property{ID: 0x70001, Value: encode.Stream("property", 12)}), good...))
	l.note(l.rule, "expired", "expired", "the certificate has run out",
		encode.StoreBlob(encode.StoreProperties(certificate(from.AddDate(0, 1, 0)), key, "TSSecKeySet1")...))
	l.note(l.rule, "nokey", "no-key", "nothing says where the private key is", properties(encode.PropKeyProvInfo, func([]byte) []byte { return nil }))
	l.corrupt("corrupt", "hash", "a byte of the stored SHA-1 is changed", properties(encode.PropSHA1, func(b []byte) []byte { return flip(b, 7, 1) }))
	l.corrupt("corrupt", "certificate", "a byte of the certificate is changed", flip(good, certificateAt+300, 1))
	l.corrupt("corrupt", "no-certificate", "the certificate is missing", properties(encode.PropCertificate, func([]byte) []byte { return nil }))
	l.corrupt("corrupt", "cut", "ends inside the certificate", good[:certificateAt+100])
	l.corrupt("corrupt", "length", "a property claims 4294967295 bytes", put(good, 8, 0xff, 0xff, 0xff, 0xff))
	l.corrupt("corrupt", "empty", "no data at all", nil)
	return l.all
}
