package encode

import (
	"math/big"
	"time"
)

// Object identifiers in the certificates of the licensing service, as its
// samples in [MS-RDPELE] 4.1 and 4.3 carry them.
const (
	OIDSHA1RSA       = "1.3.14.3.2.29" // sha1WithRSASignature, the OIW's
	OIDSHA           = "1.3.14.3.2.15" // stands where a terminal server's key algorithm is due
	OIDRSA           = "1.2.840.113549.1.1.1"
	OIDSHA256RSA     = "1.2.840.113549.1.1.11"
	oidCommonName    = "2.5.4.3"
	oidSerialNumber  = "2.5.4.5"
	oidLocality      = "2.5.4.7"
	oidBasic         = "2.5.29.19"
	oidAuthorityKey  = "2.5.29.35"
	oidManufacturer  = "1.3.6.1.4.1.311.18.2"
	oidHydraVersion  = "1.3.6.1.4.1.311.18.4"
	oidProductInfo   = "1.3.6.1.4.1.311.18.5"
	oidLicenseServer = "1.3.6.1.4.1.311.18.6"
)

// Attribute is one attribute of a name.
type Attribute struct{ OID, Text string }

// Extension is one extension of a certificate. Value need not be DER:
// Microsoft's licensing extensions are not.
type Extension struct {
	OID      string
	Critical bool
	Value    []byte
}

// Certificate is an X.509 certificate to be. A test changes what it wants to be
// wrong before it calls Encode.
type Certificate struct {
	Serial              *big.Int
	RawSerial           []byte // if not nil, what the serial number's INTEGER holds
	SigAlg              string // object identifier, inside and outside
	Hash                Hash
	Issuer, Subject     []byte // as made by LicensingName or CommonName
	NotBefore, NotAfter time.Time
	KeyAlg              string
	Key                 Key
	Extensions          []Extension
	Signer              Key
	// Signature, if not nil, takes the place of one made with Signer.
	Signature []byte
}

// Encode returns the certificate in DER.
func (c Certificate) Encode() []byte {
	tbs := c.TBS()
	signature := c.Signature
	if signature == nil {
		signature = c.Signer.Sign(c.Hash, tbs)
	}
	return sequence(tbs, algorithm(c.SigAlg), bitString(signature))
}

// TBS returns the part of the certificate that is signed.
func (c Certificate) TBS() []byte {
	serial := integer(c.Serial)
	if c.RawSerial != nil {
		serial = tlv(0x02, c.RawSerial)
	}
	fields := [][]byte{
		tlv(0xa0, smallInteger(2)), // version 3
		serial,
		algorithm(c.SigAlg),
		c.Issuer,
		sequence(moment(c.NotBefore), moment(c.NotAfter)),
		c.Subject,
		sequence(algorithm(c.KeyAlg), bitString(sequence(integer(c.Key.N), integer(c.Key.E)))),
	}
	if len(c.Extensions) > 0 {
		var extensions [][]byte
		for _, x := range c.Extensions {
			critical := []byte(nil)
			if x.Critical {
				critical = boolean(true)
			}
			extensions = append(extensions, sequence(oid(x.OID), critical, octetString(x.Value)))
		}
		fields = append(fields, tlv(0xa3, sequence(extensions...)))
	}
	return sequence(fields...)
}

func algorithm(dotted string) []byte { return sequence(oid(dotted), null()) }

// LicensingName returns a name as the licensing service writes it: all
// attributes in one relative name, as BMPStrings.
func LicensingName(attributes ...Attribute) []byte {
	var members [][]byte
	for _, a := range attributes {
		members = append(members, sequence(oid(a.OID), bmpString(a.Text)))
	}
	return sequence(setOf(members...))
}

// CommonName returns an ordinary name: a common name as a PrintableString.
func CommonName(text string) []byte {
	return sequence(setOf(sequence(oid(oidCommonName), printableString(text))))
}

// FileTime returns t as a Windows FILETIME: intervals of 100 ns since 1601.
func FileTime(t time.Time) uint64 {
	const seconds1601to1970 = 11644473600
	return uint64(t.Unix()+seconds1601to1970)*10_000_000 + uint64(t.Nanosecond()/100)
}
